"""Tables that lie about where the pictures of a video are: every frame is the right one, or the file is refused.

What is right: the pictures that decoding the file from its beginning gives, in that order, and for the tables of AVI
and Matroska, which decoding in order does not need, the pictures of the undamaged file.
"""

import importlib.util
import random
import zlib

import numpy as np
import pytest

from saliency.errors import InputError
from saliency.io.frames import open_frames
from saliency.io.stamped import RECIPES, Recipe, write_stamped

pytestmark = pytest.mark.hostile("tables of containers")

FRAMES = 48
X264 = {"preset": "veryfast", "g": "12"}
FILES = {
    "mpeg4_avi": ("avi", RECIPES["mpeg4_gop12_avi"]),
    "mjpeg_avi": ("avi", RECIPES["mjpeg_avi"]),
    "h264_mp4": ("mp4", RECIPES["h264_gop12"]),
    "h264_no_b_mp4": ("mp4", Recipe(codec="libx264", suffix=".mp4", options={**X264, "bf": "0"})),
    "mpeg4_mp4": ("mp4", Recipe(codec="mpeg4", suffix=".mp4", options={"b": "2M", "g": "12"})),
    "hevc_mp4": ("mp4", RECIPES["hevc_open_gop"]),
    "h264_mkv": ("matroska", Recipe(codec="libx264", suffix=".mkv", options={**X264, "bf": "2"})),
    "mpeg4_mkv": ("matroska", Recipe(codec="mpeg4", suffix=".mkv", options={"b": "2M", "g": "12"})),
    "vp9_webm": ("matroska", RECIPES["vp9"]),
}


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Name of a file -> its path; made on first use."""
    folder = tmp_path_factory.mktemp("whole")

    def make(name):
        recipe = FILES[name][1]
        path = folder / f"{name}{recipe.suffix}"
        if not path.exists():
            write_stamped(path, recipe, FRAMES)
        return path

    return make


def checksum(frame):
    return zlib.crc32(np.ascontiguousarray(frame).tobytes())


def in_order(path):
    """Checksums of the frames as PyAV decodes them from the beginning, and whether damage is reported."""
    with open_frames(path) as source:
        found = [checksum(frame) for frame in source.iterate()]
        return found, bool(source.shortfall(len(found)) or source.corrupt_frames)


def assert_right(path, wanted, decoder="pyav", *, same_pictures):
    """Read frames in several ways; a refusal in one line is right, too."""
    try:
        found, reported = in_order(path)
        assert reported or found == wanted or not same_pictures, "reading in order gives other pictures"
        rng = random.Random(0)
        with open_frames(path, decoder) as source:
            assert len(source) == len(found)
            for i in [rng.randrange(len(found)) for _ in range(12)]:
                with open_frames(path, decoder) as fresh:
                    for reader in (source, fresh):
                        right = checksum(reader.read([i])[0]) == found[i]
                        # pictures concealed after damage depend on what was decoded before, and are reported
                        assert right or reported, f"frame {i} is another picture, unreported"
    except InputError as error:
        assert "\n" not in str(error) and str(path) in str(error)


def variants(containers, name, path):
    return getattr(containers, FILES[name][0])(path.read_bytes())


def try_all(cases, containers, name, path, folder, decoder="pyav"):
    wanted, reported = in_order(path)
    assert len(wanted) == FRAMES and not reported
    for case, data in variants(containers, name, path):
        damaged = folder / f"{case}{path.suffix}"
        damaged.write_bytes(data)
        with cases.case(f"{name} {case}"):
            # the tables of MP4 are all there is to say where and when its pictures are
            assert_right(damaged, wanted, decoder, same_pictures=FILES[name][0] != "mp4")
        damaged.unlink()
    cases.check()


AVI_IN_SUITE = ("without_0", "without_5", "without_12", "without_39", "twice_12", "swapped_12_24", "false_key_13")
AVI_IN_SUITE += ("no_key_0", "empty", "reversed", "offset_far", "unknown_name")


@pytest.mark.parametrize("case", AVI_IN_SUITE)
def test_an_avi_with_a_wrong_idx1(whole, containers, tmp_path, case):
    path = whole("mpeg4_avi")
    damaged = tmp_path / "damaged.avi"
    damaged.write_bytes(dict(containers.avi(path.read_bytes()))[case])
    assert_right(damaged, in_order(path)[0], same_pictures=True)


def test_a_missing_entry_shifts_no_frame(whole, containers, tmp_path):
    """The case that once gave every frame after the entry the number of its neighbour."""
    damaged = tmp_path / "damaged.avi"
    damaged.write_bytes(dict(containers.avi(whole("mpeg4_avi").read_bytes()))["without_5"])
    wanted, _ = in_order(whole("mpeg4_avi"))
    with open_frames(damaged) as source:
        assert [checksum(frame) for frame in source.read(range(FRAMES))] == wanted
        assert [checksum(source.read([i])[0]) for i in (40, 6, 25, 4)] == [wanted[i] for i in (40, 6, 25, 4)]


def test_a_keyframe_that_is_none_is_not_trusted(whole, containers, tmp_path):
    """An MP4 that names a predicted picture as keyframe, read at and after it."""
    path = whole("mpeg4_mp4")
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(dict(containers.mp4(path.read_bytes()))["stss_1_+1"])  # 14 in place of 13, counted from 1
    wanted, _ = in_order(path)
    for i in (13, 14, 20, 12):
        with open_frames(damaged) as source:
            assert checksum(source.read([i])[0]) == wanted[i]


def test_times_of_a_keyframe_and_its_neighbours_exchanged(whole, containers, tmp_path):
    """With B-frames nothing but the pictures after a keyframe shows that its time is wrong."""
    path = whole("h264_mp4")
    for case, data in containers.mp4(path.read_bytes()):
        if case in ("ctts_0_+7", "ctts_swapped_0", "ctts_swapped_1"):
            (tmp_path / f"{case}.mp4").write_bytes(data)
            assert_right(tmp_path / f"{case}.mp4", [], same_pictures=False)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", list(FILES))
def test_every_way_to_damage_a_table(cases, whole, containers, tmp_path, name):
    try_all(cases, containers, name, whole(name), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["mpeg4_avi", "mpeg4_mp4"])
@pytest.mark.parametrize("decoder", ["decord", "torchcodec"])
def test_other_decoders_are_right_or_refuse(cases, whole, containers, tmp_path, name, decoder):
    if importlib.util.find_spec(decoder) is None:
        pytest.skip(f"{decoder} is not installed")
    try:
        open_frames(whole(name), decoder).close()
    except InputError as error:  # such as torchcodec without FFmpeg's libraries
        pytest.skip(str(error))
    try_all(cases, containers, name, whole(name), tmp_path, decoder)
