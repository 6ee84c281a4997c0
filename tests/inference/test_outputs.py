"""Every kind of file holds the maps that were given."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saliency.errors import InputError
from saliency.inference.outputs import MAP_FORMATS, Outputs, open_maps, outputs_at, outputs_in
from saliency.inference.render import render
from saliency.io.frame_source import FrameSource
from saliency.io.frames import open_frames
from saliency.io.maps import read_density


class Plain(FrameSource):
    def __init__(self, count=3, size=(24, 32), still=False):
        self.path, self.fps, self.size, self.count, self.still = Path("plain"), 25.0, size, count, still

    def __len__(self):
        return self.count

    def read(self, indices):
        return np.zeros((len(indices), *self.size, 3), dtype=np.uint8)

    def iterate(self, start=0, stop=None):
        yield from self.read(range(self.count))

    def close(self):
        pass


class Ramps:
    """Map i is brightest in column i and halves from column to column."""

    def maps(self, source):
        for i, _ in enumerate(source.iterate()):
            yield i, torch.from_numpy(ramp(i))


def ramp(i):
    return (0.5 ** np.abs(np.arange(32) - i) * np.ones((24, 1))).astype(np.float32)


@pytest.mark.parametrize("kind", MAP_FORMATS)
def test_maps_of_every_kind(tmp_path, kind):
    source = Plain()
    outputs = Outputs(picture=None, maps=outputs_in(tmp_path, source, kind).maps, map_format=kind, peak=1.0)
    written = render(source, Ramps(), outputs)
    assert (written.frames, written.picture, written.problem) == (3, None, None)
    if kind == "npz":
        with np.load(tmp_path / "plain_maps.npz") as held:
            assert list(held) == ["0001", "0002", "0003"]
            found = [held[name] for name in held]
        tolerance = 0.0
    elif kind == "mp4":
        with open_frames(tmp_path / "plain_maps.mp4", expected=3) as video:
            found = [frame[:, :, 0] / 255 for frame in video.iterate()]
        tolerance = 0.04
    else:
        suffix = kind.removesuffix("16")
        assert sorted(p.name for p in (tmp_path / "plain_maps").glob("*.*") if p.name[0] != ".") == [
            f"000{i}.{suffix}" for i in (1, 2, 3)
        ]
        found = [read_density(tmp_path / "plain_maps" / f"000{i}.{suffix}") for i in (1, 2, 3)]
        tolerance = {"png": 0.5 / 255, "png16": 0.5 / 65535, "npy": 0.0}[kind]
    for i, values in enumerate(found):
        assert np.abs(values - ramp(i)).max() <= tolerance + 1e-7


def test_a_still_gives_a_picture_and_no_word_about_sound(tmp_path, caplog):
    Image.fromarray(np.full((24, 32, 3), 90, dtype=np.uint8)).save(tmp_path / "photo.png")
    with open_frames(tmp_path / "photo.png") as source:
        written = render(source, Ramps(), outputs_in(tmp_path / "out", source))
    assert written.picture == tmp_path / "out" / "photo_saliency.png"
    with Image.open(written.picture) as picture:
        assert picture.size == (32, 24)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["photo_saliency.png"]
    assert not caplog.records


def test_a_file_can_be_named(tmp_path):
    source = Plain()
    written = render(source, Ramps(), outputs_at(tmp_path / "a" / "my.mp4", source, maps="npy"))
    assert written.picture == tmp_path / "a" / "my.mp4"
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["my.mp4", "my_maps"]
    with pytest.raises(InputError, match=r"plain is a picture, so what is written ends in .png"):
        outputs_at(tmp_path / "my.mp4", Plain(still=True))
    with pytest.raises(InputError, match=r"ends in .mp4"):
        outputs_at(tmp_path / "my.png", source)


def test_a_broken_off_archive_can_be_read(tmp_path):
    outputs = Outputs(picture=None, maps=tmp_path / "m.npz", map_format="npz")
    maps = open_maps(outputs, Plain())
    with pytest.raises(KeyboardInterrupt), maps:
        maps.write(0, ramp(0))
        raise KeyboardInterrupt
    with np.load(tmp_path / "m.partial.npz") as held:
        assert (held["0001"] == ramp(0)).all()
    assert [p.name for p in tmp_path.iterdir()] == ["m.partial.npz"]


def test_a_map_that_fails_leaves_those_before_it_and_no_later_one(tmp_path):
    """Threads may have written later maps already."""
    outputs = outputs_in(tmp_path, Plain(), "png")
    with pytest.raises(InputError, match="finite") as caught, open_maps(outputs, Plain()) as maps:
        for number in (0, 3, 1, 4):
            maps.write(number, ramp(number))
        maps.write(2, np.full((24, 32), np.nan, np.float32))
    left = sorted(path.name for path in (tmp_path / "plain_maps.partial").glob("*.png"))
    assert left == ["0001.png", "0002.png"]
    assert "the 2 maps before it" in caught.value.__notes__[0]
    assert not (tmp_path / "plain_maps").exists()
