"""The embedded data set: layout, determinism, splits, atomic builds, and gaze that depends on what is seen."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from scipy.io import loadmat

from saliency.data.mini_scenes import make_shots, render
from saliency.data.mini_viewers import watch
from saliency.datasets import mini
from saliency.datasets.dhf1k import gaze_points
from saliency.datasets.mini import Mini, build_mini, build_real, density_map
from saliency.errors import InputError, MissingData
from saliency.gaze.recording import DHF1K_SIGMA
from saliency.gaze.recording import density_map as gaze_density_map

TINY = {"train_videos": 1, "val_videos": 1, "test_videos": 1, "size": (54, 96), "min_frames": 12, "max_frames": 14}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mini]:
    config = Mini(**TINY, cache=tmp_path_factory.mktemp("cache"))
    build_mini(config)
    yield config


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_layout_is_dhf1ks(tiny: Mini):
    assert sorted(p.name for p in (tiny.root / "video").iterdir()) == ["001.AVI", "002.AVI", "003.AVI"]
    for number, video in enumerate(all_videos(tiny), start=1):
        folder = tiny.root / "annotation" / f"{number:04d}"
        names = [f"{i + 1:04d}" for i in range(video.num_frames)]
        assert sorted(p.stem for p in (folder / "maps").glob("*.png")) == names
        assert sorted(p.stem for p in (folder / "fixation").glob("*.png")) == names
        assert sorted(p.stem for p in (folder / "fixation" / "maps").glob("*.mat")) == names


def all_videos(config: Mini) -> list[mini.AnnotatedVideo]:
    return [v for split in ("train", "val", "test") for v in config.videos(split)]


def test_video_files_are_encoded_as_dhf1ks(tiny: Mini):
    for video in all_videos(tiny):
        with av.open(str(video.path)) as container:
            stream = container.streams.video[0]
            assert (container.format.name, stream.codec_context.name) == ("avi", "mpeg4")
            assert stream.codec_context.codec_tag.upper() == "XVID"
            assert stream.average_rate == 30
            assert (stream.height, stream.width) == video.size == (54, 96)
            types = [PictureType(frame.pict_type).name for frame in container.decode(stream)]
        assert len(types) == video.num_frames
        assert set(types) <= {"I", "P"}
        assert types[0] == "I"
        assert len(types) < 13 or types[12] == "I"


def test_frames_survive_encoding(tiny: Mini):
    video = tiny.videos("train")[0]
    rng = np.random.default_rng([tiny.seed, 1])
    num_frames = int(rng.integers(tiny.min_frames, tiny.max_frames + 1))
    shots = make_shots(rng, num_frames, tiny.size)
    drawn = np.stack([render(shot, i, tiny.size) for shot in shots for i in range(len(shot))])
    with video.open() as source:
        decoded = source.read(range(video.num_frames))
    assert decoded.shape == drawn.shape
    assert np.abs(decoded.astype(int) - drawn).mean() < 6


def test_maps_agree_with_the_observers(tiny: Mini):
    for video in all_videos(tiny):
        gaze = video.observers()
        assert gaze is not None and gaze.shape == (17, video.num_frames, 2) and gaze.dtype == np.float32
        assert np.nanmin(gaze) >= 0 and np.nanmax(gaze[..., 0]) < 96 and np.nanmax(gaze[..., 1]) < 54
        for i in (0, video.num_frames - 1):
            points = np.floor(gaze[:, i][~np.isnan(gaze[:, i, 0])]).astype(int)
            expected = np.zeros(video.size, bool)
            expected[points[:, 1], points[:, 0]] = True
            np.testing.assert_array_equal(video.fixations(i), expected)
            mat = tiny.root / "annotation" / f"{int(video.id):04d}" / "fixation" / "maps" / f"{i + 1:04d}.mat"
            np.testing.assert_array_equal(loadmat(mat)["I"] > 0, expected)
            density = video.density(i)
            assert density.dtype == np.float32 and density.max() == 1
            reference = gaze_density_map(gaze[:, i], video.size, DHF1K_SIGMA * 96 / 640)
            np.testing.assert_allclose(density, reference, atol=0.6 / 255)


def test_density_map_is_a_gaussian_of_the_stated_width():
    fixated = np.zeros((360, 640), bool)
    assert not density_map(fixated, 12.74).any()
    fixated[180, 320] = True
    density = density_map(fixated, 30 / 2.3548).astype(float)
    assert density[180, 320] == 255
    assert density[180, 320 + 15] == pytest.approx(127.5, abs=1)  # half the maximum at half the FWHM of 30
    assert density[180 - 15, 320] == pytest.approx(127.5, abs=1)


def test_same_seed_same_bytes(tiny: Mini, tmp_path: Path):
    again = Mini(**TINY, cache=tmp_path, threads=1)
    assert files(build_mini(again)) == files(tiny.root)
    other = Mini(**TINY, cache=tmp_path, seed=1)
    assert other.root != again.root
    mine, theirs = again.videos("test")[0].observers(), other.videos("test")[0].observers()
    assert mine is not None and theirs is not None
    assert not np.array_equal(mine, theirs, equal_nan=True)


def test_splits_are_disjoint_and_complete(tiny: Mini):
    ids = [v.id for v in all_videos(tiny)]
    assert ids == ["001", "002", "003"]
    with pytest.raises(InputError, match="no split"):
        tiny.videos("hidden")  # type: ignore[arg-type]


def test_bad_settings():
    with pytest.raises(ValueError, match="even"):
        Mini(size=(55, 96))
    with pytest.raises(ValueError, match="min_frames"):
        Mini(min_frames=10, max_frames=9)


def test_a_build_that_dies_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = Mini(**TINY, cache=tmp_path)
    write = mini.write_avi

    def die(path: Path, frames: list[np.ndarray]) -> None:
        if path.name == "002.AVI":
            raise KeyboardInterrupt
        write(path, frames)

    with monkeypatch.context() as patch:
        patch.setattr(mini, "write_avi", die)
        with pytest.raises(KeyboardInterrupt):
            build_mini(config)
    assert list(tmp_path.iterdir()) == []
    assert len(config.videos("test")) == 1


def test_a_finished_build_is_not_touched(tiny: Mini, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mini, "write_avi", None)
    assert build_mini(tiny) == tiny.root


def test_remains_of_killed_builds_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".building-mini-old").mkdir()
    monkeypatch.setattr(mini, "STALE", -1.0)
    build_mini(Mini(**TINY, cache=tmp_path))
    assert [p.name[:5] for p in tmp_path.iterdir()] == ["mini-"]


def test_two_builds_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = Mini(**TINY, cache=tmp_path, threads=1)
    both_began = threading.Barrier(2, timeout=60)
    write = mini.write_avi

    def meet(path: Path, frames: list[np.ndarray]) -> None:
        if path.name == "001.AVI":
            both_began.wait()
        write(path, frames)

    monkeypatch.setattr(mini, "write_avi", meet)
    with ThreadPoolExecutor(2) as pool:
        roots = list(pool.map(build_mini, [config, config]))
    assert roots == [config.root, config.root]
    assert [p.name for p in tmp_path.iterdir()] == [config.root.name]
    assert len(config.videos("val")) == 1


def test_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SALIENCY_CACHE", str(tmp_path / "env"))
    assert Mini().root.parent == tmp_path / "env"
    assert Mini(cache=tmp_path).root.parent == tmp_path
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="SALIENCY_CACHE"):
        build_mini(Mini(cache=tmp_path / "file"))


def test_gaze_goes_to_what_moves():
    size = (108, 192)
    near = {"mover": 0, "clutter": 0}
    things = {"mover": 0, "clutter": 0}
    for seed in range(6):
        rng = np.random.default_rng(seed)
        shots = make_shots(rng, 60, size)
        gaze = watch(rng, shots, size, 17)
        for shot in shots:
            for i in range(12, len(shot)):
                points = gaze[:, shot.start + i]
                for thing in shot.things:
                    if thing.kind in near and (thing.path[i] >= 0).all() and (thing.path[i] < size[::-1]).all():
                        distance = np.linalg.norm(points - thing.path[i], axis=1)
                        near[thing.kind] += int((distance < thing.radius).sum())
                        things[thing.kind] += 1
    assert near["mover"] / things["mover"] > 4 * near["clutter"] / things["clutter"]


def test_real_video_is_asked_for_in_one_line_when_it_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SALIENCY_DATA", str(tmp_path / "data"))
    config = Mini(cache=tmp_path / "cache")
    with pytest.raises(MissingData, match="get it with: saliency data get dhf1k-002"):
        config.videos("real")
    assert not config.real_root.exists()


def test_real_video_is_laid_out(stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SALIENCY_DATA", str(stand_in))
    config = Mini(cache=tmp_path)
    [video] = config.videos("real")
    assert (video.id, video.num_frames, video.size) == ("002", 783, (40, 64))
    gaze = video.observers()
    assert gaze is not None and gaze.shape == (17, 783, 2)
    recordings = [stand_in / f"dhf1k_002/exportdata_train/P{p:02d}/P{p:02d}_Trail002.txt" for p in range(1, 18)]
    np.testing.assert_array_equal(gaze, gaze_points(recordings, (40, 64), 783))
    for i in (0, 400, 782):
        assert 0 < video.fixations(i).sum() <= (~np.isnan(gaze[:, i, 0])).sum()
        assert video.density(i).max() == 1
    assert video.path.read_bytes() == (stand_in / "dhf1k_002/video/002.AVI").read_bytes()
    assert "CC BY 4.0" in (config.real_root / "ATTRIBUTION.md").read_text()
    assert not config.root.exists()  # the simulated videos are not needed for it


def test_a_real_video_that_is_not_whole_is_refused(stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(stand_in, tmp_path / "data")
    monkeypatch.setenv("SALIENCY_DATA", str(tmp_path / "data"))
    shutil.rmtree(tmp_path / "data/dhf1k_002/exportdata_train/P03")
    with pytest.raises(InputError, match="16 recordings of video 002 where 17 are expected"):
        build_real(Mini(cache=tmp_path / "cache"))
    path = tmp_path / "data/dhf1k_002/video/002.AVI"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="783 are expected"):
        build_real(Mini(cache=tmp_path / "cache"))
    assert list((tmp_path / "cache").iterdir()) == []


def test_real_video(real_video: Path, tmp_path: Path):
    real = Mini(cache=tmp_path)
    [video] = real.videos("real")
    gaze = video.observers()
    assert (video.id, video.num_frames, video.size) == ("002", 783, (360, 640))
    assert gaze is not None and gaze.shape == (17, 783, 2)
    published = real_video / "points_xy_17obs_783frames.npy"  # of an independent computation
    if published.is_file():
        np.testing.assert_allclose(gaze, np.load(published), atol=1e-4)
    present = (~np.isnan(gaze[..., 0])).sum(0)
    assert (present.min(), int(np.median(present)), present.max()) == (5, 11, 16)
    for i in (0, 400, 782):
        assert 0 < video.fixations(i).sum() <= present[i]
        assert video.density(i).max() == 1
    with video.open() as source:
        assert source.read([782]).shape == (1, 360, 640, 3)
