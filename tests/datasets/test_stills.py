"""Photographs with fixations: the neutral form, its conventions, and training samples whose gaze stays in place."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saliency.data.still_samples import Changes, StillClips, StillSamples, cut, draw_box, snapped, targets
from saliency.data.still_video import StillVideo
from saliency.data.trained_on import checksums, seen_in_training
from saliency.data.video import VideoSamples
from saliency.datasets.stills import Stills
from saliency.errors import InputError
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.preparation.picking import choose
from saliency.types import InputSpec

SIZE = (48, 64)
SPEC = InputSpec(length=3, size=(24, 32))


def make_set(root: Path, count: int = 6) -> Path:
    """Photographs, black but for a white square of 4x4 pixels that all viewers look at the centre of."""
    (root / "images").mkdir(parents=True)
    random = np.random.default_rng(0)
    names, image, x, y = [], [], [], []
    for i in range(count):
        left, top = random.integers(4, SIZE[1] - 8), random.integers(4, SIZE[0] - 8)
        pixels = np.zeros((*SIZE, 3), dtype=np.uint8)
        pixels[top : top + 4, left : left + 4] = 255
        names.append(f"{i:03d}.png")
        Image.fromarray(pixels).save(root / "images" / names[-1])
        image += [i] * 5
        x += [left + 1.4] * 5  # the square spans left - 0.5 .. left + 3.5
        y += [top + 1.4] * 5
    write_csv(root / "images.csv", ("image", "width", "height"), [(n, SIZE[1], SIZE[0]) for n in names])
    write_csv(
        root / "split.csv", ("image", "split"), [(n, "train") for n in names[:4]] + [(n, "val") for n in names[4:5]]
    )
    zeros = np.zeros(len(x), dtype=np.int16)
    viewer = np.tile(np.arange(5, dtype=np.int16), count)
    np.savez(
        root / "fixations.npz",
        images=np.array(names), image=np.array(image, dtype=np.int16), viewer=viewer, order=zeros,
        x=np.float32(x), y=np.float32(y), duration_ms=np.full(len(x), 200, dtype=np.float32),
    )  # fmt: skip
    return root


def write_csv(path: Path, titles: tuple, rows: list) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([titles, *rows])


@pytest.fixture
def stills(tmp_path: Path) -> Stills:
    return Stills(name="own", root=make_set(tmp_path / "own"), frames=3, sigma=0.1)


def samples(stills: Stills, changes: Changes | None) -> StillSamples:
    clips = StillClips(sources=(stills,), grid=SIZE, kept=SIZE, changes=changes or Changes())
    return clips.training({"a": SPEC}) if changes else clips.validation({"a": SPEC})


def test_images_that_the_split_does_not_name_are_the_test_part(stills: Stills) -> None:
    found = {split: [video.id for video in stills.videos(split)] for split in ("train", "val", "test")}
    assert found == {"train": ["000", "001", "002", "003"], "val": ["004"], "test": ["005"]}


def test_a_pixels_centre_is_a_whole_number_in_the_file(tmp_path: Path) -> None:
    root = make_set(tmp_path / "own", 1)
    with np.load(root / "fixations.npz") as archive:
        arrays = dict(archive)
    arrays["x"][:] = [0.0, -0.5, 0.49, 0.5, 63.49]  # pixels 0, 0, 0, 1, 63; 63.5 would lie outside
    arrays["y"][:] = 7.0
    np.savez(root / "fixations.npz", **arrays)
    write_csv(root / "split.csv", ("image", "split"), [("000.png", "val")])
    fixated = Stills(name="own", root=root).videos("val")[0].fixations(0)
    assert np.argwhere(fixated).tolist() == [[7, 0], [7, 1], [7, 63]]


def test_a_photograph_is_a_video_of_equal_frames(stills: Stills) -> None:
    video = stills.videos("val")[0]
    with video.open() as source:
        frames = source.read([2, 0, 0])
        assert len(list(source.iterate())) == len(source) == 3
    assert frames.shape == (3, *SIZE, 3) and (frames[0] == frames[1]).all()
    assert np.array_equal(video.density(0), video.density(2))
    row, column = np.argwhere(video.fixations(1))[0]
    assert frames[0, row, column].tolist() == [255] * 3
    assert np.unravel_index(video.density(0).argmax(), SIZE) == (row, column)
    clip = VideoSamples([video], {"a": SPEC}, SIZE, targets=[(0, 2)])
    assert clip.prepare([clip[0]], "cpu").inputs["a"].shape == (1, 3, 3, 24, 32)


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_the_gaze_stays_on_its_square_under_every_change(stills: Stills, flip: float) -> None:
    made = samples(stills, Changes(crop=1.0, smallest=0.4, stretch=1.5, flip=flip, colour=0.0, grey=0.0))
    boxes = set()
    for i in range(60):
        sample = made[(0, i, i % 4)]
        assert sample.fixations.sum() == 1
        picture = sample.pixels[SPEC.size].float().mean(0)
        picture = torch.nn.functional.interpolate(picture[None, None], SIZE, mode="nearest")[0, 0]
        row, column = sample.fixations.nonzero()[0].tolist()
        assert picture[row, column] > 200
        # its centre of mass is the fixation, within the pixel that a grid cell is
        weight = picture / picture.sum()
        centre = [(weight.sum(1 - axis) * torch.arange(SIZE[axis])).sum().item() for axis in (0, 1)]
        assert abs(centre[0] - row) < 1.5 and abs(centre[1] - column) < 1.5
        assert abs(sample.density.argmax() // SIZE[1] - row) <= 1
        boxes.add((row, column))
    assert len(boxes) > 20


def test_samples_are_a_function_of_their_key(stills: Stills) -> None:
    made = samples(stills, Changes())
    one, other, same = made[(0, 0, 1)], made[(0, 1, 1)], made[(0, 0, 1)]
    assert torch.equal(one.pixels[SPEC.size], same.pixels[SPEC.size]) and torch.equal(one.density, same.density)
    assert not torch.equal(one.density, other.density)


def test_weights_will_say_which_photographs_they_learned_from(stills: Stills) -> None:
    learned = frozenset(checksums(samples(stills, Changes())))
    train, val = stills.videos("train"), stills.videos("val")
    assert seen_in_training(train, learned) == [video.id for video in train]
    assert seen_in_training(val, learned) == []


def test_validation_shows_whole_photographs_with_the_data_sets_density(stills: Stills) -> None:
    made = samples(stills, None)
    assert len(made) == 1
    sample, video = made[0], stills.videos("val")[0]
    density = torch.from_numpy(video.density(0))
    # the data set moves a fixation to its pixel's centre: by up to 0.5 pixels, on slopes of up to 0.61 / 6.4 per axis
    torch.testing.assert_close(sample.density / sample.density.max(), density, atol=0.1, rtol=0)
    assert torch.equal(sample.fixations, torch.from_numpy(video.fixations(0)))
    batch = made.prepare([sample], "cpu")
    assert batch.inputs["a"].shape == (1, 3, 3, 24, 32)
    assert (batch.inputs["a"][:, :, 0] == batch.inputs["a"][:, :, 2]).all()


def test_a_density_by_hand() -> None:
    density, fixated = targets(np.float32([[0.5 / 8, 0.5 / 4], [1.0, 0.5]]), (4, 8), (0.125, 0.25))
    assert np.argwhere(fixated).tolist() == [[0, 0]]  # the second point lies beyond the right edge
    assert density[0, 0] == 1.0
    assert density[0, 1] == pytest.approx(np.exp(-0.5))  # one cell to the right is one sigma
    assert density[2, 0] == pytest.approx(np.exp(-2.0))  # two cells down are two


def test_a_cut_out_is_where_its_box_says() -> None:
    picture = np.arange(10 * 20 * 3, dtype=np.uint8).reshape(10, 20, 3)
    box = (0.26, 0.12, 0.77, 0.88)
    assert snapped(box, (10, 20)) == (0.25, 0.1, 0.75, 0.9)
    assert np.array_equal(cut(picture, snapped(box, (10, 20))), picture[1:9, 5:15])


def test_a_part_holds_what_people_looked_at() -> None:
    points = np.float32([[0.05, 0.05]] * 10)
    for i in range(50):
        box = draw_box(Changes(crop=1.0, smallest=0.3), points, (100, 100), np.random.default_rng(i))
        assert box[0] <= 0.05 < box[2] and box[1] <= 0.05 < box[3]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("split.csv", "image,split\n000.png,train\n000.png,val\n", "twice"),
        ("split.csv", "image,split\n000.png,training\n", "'training' is no split"),
        ("images.csv", "image,width\n000.png,64\n", "no column height"),
        ("images.csv", "image,width,height\n000.png,64,x\n", "no whole number"),
        ("fixations.npz", "nothing", "fetch it again"),
    ],
)
def test_a_damaged_file_is_named(stills: Stills, name: str, text: str, message: str) -> None:
    assert stills.root is not None
    (stills.root / name).write_text(text)
    with pytest.raises(InputError, match=message) as error:
        stills.videos("train")
    assert name in str(error.value) and "\n" not in str(error.value)


def test_a_photograph_of_another_size_is_refused(stills: Stills) -> None:
    video = stills.videos("val")[0]
    Image.new("RGB", (10, 10)).save(video.path)
    with pytest.raises(InputError, match="10x10"):
        video.open()
    with pytest.raises(InputError, match="10x10"):
        samples(stills, None)


def test_a_set_that_was_not_downloaded_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALIENCY_DATA", str(tmp_path))
    with pytest.raises(InputError, match="saliency data get osie"):
        Stills(name="osie").videos("train")


def test_the_sets_are_in_the_table_of_data_sets(tmp_path: Path) -> None:
    root = make_set(tmp_path / "osie")
    chosen = choose("osie", root=root)
    assert [video.id for video in chosen.videos()] == ["005"]
    assert [video.id for video in choose("osie", root=root, split="val").videos()] == ["004"]
    video = choose("crowd", root=root).videos()[0]
    assert isinstance(video, StillVideo) and video.sigma == pytest.approx(26 / 1024 * 64)


REAL = Path(os.environ.get("SALIENCY_DATA", "/nowhere")) / "real_gaze"
needs_real_gaze = pytest.mark.skipif(not REAL.is_dir(), reason="SALIENCY_DATA names no folder with real_gaze")


@needs_real_gaze
@pytest.mark.parametrize(
    ("name", "train", "val", "fixations", "viewers"),
    [("osie", 560, 70, 88_396, 15), ("crowd", 400, 50, 113_558, 16), ("scene", 400, 50, 39_521, None)],
)
def test_the_real_sets_hold_what_their_page_says(
    name: str, train: int, val: int, fixations: int, viewers: int | None
) -> None:
    data = Stills(name=name)
    videos = [*data.videos("train"), *data.videos("val")]
    assert (len(data.videos("train")), len(data.videos("val"))) == (train, val)
    gaze = [video.gaze() for video in videos if isinstance(video, StillVideo)]
    assert sum(len(each.points) for each in gaze) == fixations
    if viewers is not None:
        assert max(len(np.unique(each.viewers)) for each in gaze) == viewers


@needs_real_gaze
def test_a_model_takes_the_real_sets() -> None:
    config = AppearanceNetConfig(channels=(8, 8, 8, 8), depths=(1, 1, 1, 1), decoder_channels=8)
    made = StillClips(sources=(Stills(name="scene"),), length=1).validation({"a": config.input})
    batch = made.prepare([made[0], made[1]], "cpu")
    assert config.build()(batch.inputs["a"]).shape == (2, *config.input.size)
