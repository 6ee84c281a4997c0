import json
import os
import pickle
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saliency.errors import InputError
from saliency.io import frame_cache
from saliency.io.frame_cache import FrameCache, build, check, estimate, shard_file
from saliency.io.frames import open_frames
from saliency.io.transforms import resize_frames

SIZE = (24, 32)
KINDS = ["raw", "jpeg"]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A folder of 20 smooth pictures."""
    folder = tmp_path / "video"
    folder.mkdir()
    y, x = np.mgrid[:48, :64]
    for i in range(20):
        picture = np.stack([x * 3, y * 4, (x + y) // 2 + 7 * i], axis=-1).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{i:04d}.png")
    return sorted(folder.iterdir())


def make(tmp_path: Path, files: list[Path], kind: str, video: str = "v/1") -> FrameCache:
    build(tmp_path / "cache", video, lambda: open_frames(files[0].parent), files, SIZE, kind)  # type: ignore[arg-type]
    return FrameCache(tmp_path / "cache")


@pytest.mark.parametrize("kind", KINDS)
def test_frames_come_back(tmp_path, files, kind):
    cache = make(tmp_path, files, kind)
    with open_frames(files[0].parent) as source:
        expected = resize_frames(torch.from_numpy(source.read(range(20))), SIZE).permute(0, 2, 3, 1).numpy()
    frames = cache.read("v/1", SIZE, files, [3, 19, 0, 3])
    assert frames.shape == (4, *SIZE, 3)
    difference = np.abs(frames.astype(int) - expected[[3, 19, 0, 3]])
    assert difference.mean() < (1e-9 if kind == "raw" else 2)
    assert cache.num_frames("v/1", SIZE, files) == 20
    with pytest.raises(IndexError):
        cache.read("v/1", SIZE, files, [20])


@pytest.mark.parametrize("indices", [[], [4], [4, 5, 6], [4, 6], [5, 4], [4, 4]])
def test_raw_frames_may_be_written_to_and_the_file_stays(tmp_path, files, indices):
    cache = make(tmp_path, files, "raw")
    frames = cache.read("v/1", SIZE, files, indices)
    whole = cache.read("v/1", SIZE, files, range(20)).copy()
    assert type(frames) is np.ndarray
    np.testing.assert_array_equal(frames, whole[indices])
    frames += 1
    np.testing.assert_array_equal(cache.read("v/1", SIZE, files, range(20)), whole)


def test_what_a_killed_run_left_is_removed_later(tmp_path, files):
    folder = tmp_path / "cache" / "24x32-raw"
    folder.mkdir(parents=True)
    for name, age in ((".v~1.frames.old", 2 * frame_cache.ABANDONED), (".v~1.frames.new", 0), (".v~10.frames.x", 9e5)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age, time.time() - age))
    make(tmp_path, files, "raw")
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == [
        ".v~1.frames.new",
        ".v~10.frames.x",
    ]


def test_the_jpeg_shard_is_a_plain_tar(tmp_path, files):
    make(tmp_path, files, "jpeg")
    with tarfile.open(shard_file(tmp_path / "cache", "v/1", SIZE, "jpeg").with_suffix(".tar")) as archive:
        assert archive.getnames() == [f"{i:05d}.jpg" for i in range(20)]


@pytest.mark.parametrize("kind", KINDS)
def test_building_again_does_nothing_until_something_changed(tmp_path, files, kind):
    cache = tmp_path / "cache"
    arguments = (cache, "v", lambda: open_frames(files[0].parent), files, SIZE, kind)
    assert build(*arguments)
    assert not build(*arguments)
    shard_file(cache, "v", SIZE, kind).with_suffix(frame_cache.SUFFIX[kind]).write_bytes(b"cut")
    assert build(*arguments)
    Image.new("RGB", (64, 48)).save(files[3])
    with pytest.raises(InputError, match="other files"):
        FrameCache(cache).read("v", SIZE, files, [0])
    assert build(*arguments)
    assert FrameCache(cache).read("v", SIZE, files, [3]).max() <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_found(tmp_path, files, kind):
    make(tmp_path, files, kind, "v")
    description = shard_file(tmp_path / "cache", "v", SIZE, kind)
    data = description.with_suffix(frame_cache.SUFFIX[kind])
    check(description, files)
    good = bytearray(data.read_bytes())
    shard = json.loads(description.read_text())
    for i, found_by_open in ((0, True), (3, False)):
        bad = good.copy()
        bad[shard["offsets"][i] + 20] ^= 255
        data.write_bytes(bad)
        if found_by_open:
            with pytest.raises(InputError, match="frame 0 is damaged"):
                FrameCache(tmp_path / "cache").read("v", SIZE, files, [7])
        with pytest.raises(InputError, match=f"frame {i} is damaged"):
            check(description, files)
    data.write_bytes(good[:-1])
    with pytest.raises(InputError, match=r"has \d+ of \d+ bytes"):
        FrameCache(tmp_path / "cache").read("v", SIZE, files, [7])


def test_an_interrupted_build_leaves_no_shard(tmp_path, files):
    def stop():
        raise InputError("stop")

    with pytest.raises(InputError, match="stop"):
        build(tmp_path / "cache", "v", stop, files, SIZE, "raw")
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []


def test_missing_things_are_one_line(tmp_path, files):
    with pytest.raises(InputError, match="no such frame cache"):
        FrameCache(tmp_path / "nothing")
    cache = make(tmp_path, files, "raw")
    with pytest.raises(InputError, match=r"no frames of video v/1 at 10x10; .*--size 10 10"):
        cache.read("v/1", (10, 10), files, [0])
    description = shard_file(tmp_path / "cache", "v/1", SIZE, "raw")
    description.write_text(json.dumps({**json.loads(description.read_text()), "version": 0}))
    with pytest.raises(InputError, match="has format 0"):
        FrameCache(tmp_path / "cache").read("v/1", SIZE, files, [0])
    description.write_text("{}")
    with pytest.raises(InputError, match="not the description"):
        FrameCache(tmp_path / "cache").read("v/1", SIZE, files, [0])


def test_it_can_go_to_a_worker(tmp_path, files):
    cache = make(tmp_path, files, "raw")
    cache.read("v/1", SIZE, files, [0])
    assert (
        pickle.loads(pickle.dumps(cache)).read("v/1", SIZE, files, [1]) == cache.read("v/1", SIZE, files, [1])
    ).all()


def test_size_estimate(tmp_path, files):
    make(tmp_path, files, "jpeg")
    with open_frames(files[0].parent) as source:
        frame = source.read([0])[0]
    assert estimate(frame, 20, SIZE, "raw") == 20 * 24 * 32 * 3
    found = shard_file(tmp_path / "cache", "v/1", SIZE, "jpeg").with_suffix(".tar").stat().st_size
    assert found / 1.5 < estimate(frame, 20, SIZE, "jpeg") < found * 1.5
