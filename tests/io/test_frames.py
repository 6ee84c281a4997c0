"""Frame i is the i-th decoded picture, upright, for every kind of file; bad files are named in one line."""

import gc
import importlib.util
import os
import random
import sys
import tracemalloc
import types

import av
import numpy as np
import pytest
from PIL import Image

from saliency.errors import InputError
from saliency.io import optional_decoders
from saliency.io.frames import open_frames
from saliency.io.images import ImageFolder, list_images, read_image
from saliency.io.stamped import RECIPES, Recipe, read_stamp, scene, write_stamped

FRAMES = 40


@pytest.fixture(scope="session")
def stamped(tmp_path_factory):
    """name -> file of a stamped video, made on first use."""
    folder = tmp_path_factory.mktemp("stamped")

    def make(name):
        path = folder / f"{name}{RECIPES[name].suffix}"
        if not path.exists():
            try:
                write_stamped(path, RECIPES[name], FRAMES)
            except av.error.FFmpegError as error:
                pytest.skip(f"this PyAV cannot encode {RECIPES[name].codec}: {error}")
        return path

    return make


def numbers(source, frames):
    return [read_stamp(np.rot90(f, -source.rotation // 90)) for f in frames]


def one_line(error):
    text = str(error.value)
    assert "\n" not in text and text
    return text


# --- exact to the frame -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_frame_by_any_way(stamped, name):
    first = RECIPES[name].hidden
    with open_frames(stamped(name), expected=FRAMES) as source:
        assert numbers(source, source.iterate()) == list(range(first, first + FRAMES))
        assert numbers(source, source.iterate(7, 23)) == list(range(first + 7, first + 23))

        rng = random.Random(0)
        wanted = [rng.randrange(FRAMES) for _ in range(12)]  # any order, with repeats
        assert numbers(source, source.read(wanted)) == [first + i for i in wanted]
        for i in rng.sample(range(FRAMES), 6):
            assert numbers(source, source.read([i])) == [first + i]


def test_packed_b_frames_share_a_chunk(stamped):
    """The trap is there: as many chunks as pictures, some hold two pictures and some none."""
    with av.open(str(stamped("mpeg4_packed_avi"))) as container:
        chunks = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    pictures = [chunk.count(b"\x00\x00\x01\xb6") - (len(chunk) < 10) for chunk in chunks]
    assert len(chunks) == sum(pictures) == FRAMES
    assert pictures[:7] == [1, 2, 1, 0, 2, 1, 0]  # I, PB B -, PB B -


def test_seven_frames(tmp_path):
    """Fewer than any model's clip."""
    write_stamped(tmp_path / "short.mp4", RECIPES["h264_gop12"], 7)
    with open_frames(tmp_path / "short.mp4") as source:
        assert len(source) == 7
        assert numbers(source, source.iterate()) == list(range(7))
        assert numbers(source, source.read([6, 0, 3, 1])) == [6, 0, 3, 1]


def test_one_frame(tmp_path):
    write_stamped(tmp_path / "one.mp4", RECIPES["h264_gop12"], 1)
    with open_frames(tmp_path / "one.mp4") as source:
        assert len(source) == 1
        assert source.read([0, 0]).shape == (2, 180, 320, 3)
        assert len(list(source.iterate())) == 1


def test_reading_and_iterating_do_not_disturb_each_other(stamped):
    with open_frames(stamped("h264_gop12")) as source:
        frames = source.iterate()
        assert read_stamp(next(frames)) == 0
        assert numbers(source, source.read([30, 5])) == [30, 5]
        assert read_stamp(next(frames)) == 1


def test_decoder_threads_change_nothing(stamped):
    with open_frames(stamped("h264_gop12")) as one, open_frames(stamped("h264_gop12"), threads=3) as three:
        for a, b in zip(one.iterate(), three.iterate(), strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(one.read([17, 3]), three.read([17, 3]))


def test_facts_of_a_video(stamped):
    with open_frames(stamped("h264_444_427x239")) as source:
        assert source.size == (239, 427)
        assert source.fps == 30
        assert source.rotation == 0
        np.testing.assert_allclose(source.timestamps, np.arange(FRAMES) / 30, atol=1e-4)


def test_times_of_a_varying_rate(stamped):
    with open_frames(stamped("h264_vfr")) as source:
        times = [RECIPES["h264_vfr"].times(i) / 30 for i in range(FRAMES)]
        np.testing.assert_allclose(source.timestamps, times, atol=1e-4)
        assert 15 < source.fps < 25


def test_empty_chunks_of_an_avi_are_no_damage(stamped):
    with open_frames(stamped("mpeg4_gaps_avi")) as source:
        assert len(source) == source.announced == FRAMES
        times = [RECIPES["mpeg4_gaps_avi"].times(i) / 30 for i in range(FRAMES)]
        np.testing.assert_allclose(source.timestamps, times, atol=1e-6)


def test_indices_outside_the_video(stamped):
    with open_frames(stamped("h264_gop12")) as source:
        for bad in ([FRAMES], [-1]):
            with pytest.raises(IndexError, match=f"{FRAMES} frames"):
                source.read(bad)
        with pytest.raises(IndexError):
            list(source.iterate(0, FRAMES + 1))
        assert list(source.iterate(4, 4)) == []
        assert source.read([]).shape == (0, 180, 320, 3)


# --- upright ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hflip", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_display_matrix_is_applied(tmp_path, degrees, hflip):
    path = tmp_path / "turned.mp4"
    stored = np.zeros((64, 96, 3), dtype=np.uint8)
    stored[:32, :48] = (255, 0, 0)  # top left red, top right green, bottom left blue
    stored[:32, 48:] = (0, 255, 0)
    stored[32:, :48] = (0, 0, 255)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv444p"
        stream.set_display_rotation(degrees, hflip=hflip)
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(stored, format="rgb24")))
        container.mux(stream.encode(None))
    upright = np.rot90(stored, degrees // 90)
    # FFmpeg's matrix flips what has been turned
    upright = upright[:, ::-1] if hflip else upright
    with open_frames(path) as source:
        assert source.size == upright.shape[:2]
        if not hflip:
            assert source.rotation == degrees
        for found in (source.read([1])[0], *source.iterate()):
            assert np.abs(found.astype(int) - upright).mean() < 6


# --- damage -----------------------------------------------------------------------------------------------


def cut(path, target, share):
    data = path.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target


def faststart(source, target):
    with av.open(str(source)) as given, av.open(str(target), "w", options={"movflags": "faststart"}) as out:
        copy = out.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    return target


def test_truncated_mp4_gives_its_good_frames_then_says_so(stamped, tmp_path):
    whole = faststart(stamped("h264_gop12"), tmp_path / "whole.mp4")
    with open_frames(cut(whole, tmp_path / "cut.mp4", 0.6)) as source:
        got = []
        with pytest.raises(InputError, match="damaged") as error:
            for frame in source.iterate():
                got.append(read_stamp(frame))
        one_line(error)
        assert 10 < len(got) < FRAMES and got == list(range(len(got)))
        assert numbers(source, source.read([3, 9])) == [3, 9]


def test_truncated_avi_has_fewer_frames_than_announced(stamped, tmp_path):
    with open_frames(cut(stamped("mpeg4_gop12_avi"), tmp_path / "cut.avi", 0.6)) as source:
        assert len(source) < source.announced == FRAMES
    with pytest.raises(InputError, match=rf"frames where {FRAMES} are expected"):
        open_frames(tmp_path / "cut.avi", expected=FRAMES)


def test_garbage_in_an_avi_is_noticed_and_reading_agrees_with_iterating(stamped, tmp_path):
    data = bytearray(stamped("mpeg4_gop12_avi").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = random.Random(0).randbytes(20_000)
    (tmp_path / "bad.avi").write_bytes(data)
    with open_frames(tmp_path / "bad.avi") as source:
        in_order = np.stack(list(source.iterate()))
        assert len(source) == len(in_order)
        assert source.announced != len(source) or source.corrupt_frames
        np.testing.assert_array_equal(source.read(range(len(source))[::-3]), in_order[::-3])


def test_mp4_without_its_index(stamped, tmp_path):
    with pytest.raises(InputError, match="not a video file") as error:
        open_frames(cut(stamped("h264_gop12"), tmp_path / "cut.mp4", 0.6))
    one_line(error)


# --- not a video ------------------------------------------------------------------------------------------


def audio(path, codec="pcm_s16le", cover=None):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=8000)
        stream.layout = "mono"
        picture = None
        if cover is not None:
            picture = container.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 32, 32, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
        for i in range(8):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1000), dtype=np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 8000, i * 1000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if picture is not None:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(cover, format="rgb24")))
            container.mux(picture.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.mp4", b"just some text\n" * 20),
        ("text.txt", b"just some text\n" * 20),
        ("empty.mp4", b""),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.ts\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", b"ffconcat version 1.0\nfile other.mp4\n"),
        ("scene.sdp", b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"),
    ],
)
def test_files_that_are_no_video(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a video file") as error:
        open_frames(path)
    assert str(path) in one_line(error)


def test_audio_only(tmp_path):
    with pytest.raises(InputError, match=r"no video in it \(only audio\)") as error:
        open_frames(audio(tmp_path / "sound.wav"))
    one_line(error)


def test_cover_art_is_no_video(tmp_path):
    path = audio(tmp_path / "song.mp3", codec="libmp3lame", cover=np.zeros((32, 32, 3), dtype=np.uint8))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1  # the trap is there
    with pytest.raises(InputError, match="no video in it"):
        open_frames(path)


@pytest.mark.parametrize("path", ["no/such/file.mp4", "lavfi:testsrc", "concat:a.mp4|b.mp4"])
def test_missing_file(path):
    with pytest.raises(InputError, match="no such file") as error:
        open_frames(path)
    assert path in one_line(error)


@pytest.mark.parametrize("path", ["http://example.org/a.mp4", "rtsp://camera", "file:///etc/passwd"])
def test_addresses_are_refused(path):
    with pytest.raises(InputError, match="only local files"):
        open_frames(path)


def test_fifo_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(InputError, match="regular file"):
        open_frames(tmp_path / "pipe.mp4")


def test_unknown_decoder_and_needless_fps(stamped):
    with pytest.raises(InputError, match="choose pyav"):
        open_frames(stamped("h264_gop12"), "cv2")
    with pytest.raises(InputError, match="leave fps out"):
        open_frames(stamped("h264_gop12"), fps=10)


def test_wrong_count_is_named(stamped):
    with pytest.raises(InputError, match=f"has {FRAMES} frames where 99 are expected"):
        open_frames(stamped("h264_gop12"), expected=99)


# --- processes and memory ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["h264_gop12", "h264_rot90", "mpeg4_bframes_avi"])
def test_nothing_is_left_for_the_garbage_collector(stamped, name):
    """A decoded picture that waits for it is megabytes, and a worker opens thousands of videos."""
    path = stamped(name)

    def use():
        with open_frames(path) as source:
            source.read([3, 1, 20])
            list(source.iterate(2, 5))

    use()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        use()
        gc.collect()
        assert not [type(left) for left in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def test_source_of_another_process_is_refused(stamped, monkeypatch):
    source = open_frames(stamped("h264_gop12"))
    source.read([0])
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(RuntimeError, match="inside the worker"):
        source.read([0])
    with pytest.raises(RuntimeError, match="inside the worker"):
        next(source.iterate())
    monkeypatch.undo()
    source.close()


def test_memory_does_not_grow_with_the_video(tmp_path):
    peaks = []
    for count in (40, 160):
        path = tmp_path / f"{count}.mp4"
        write_stamped(path, Recipe(codec="libx264", suffix=".mp4", options={"preset": "ultrafast"}), count)
        tracemalloc.start()
        with open_frames(path) as source:
            for _ in source.iterate():
                pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    frame = 180 * 320 * 3
    assert peaks[1] < peaks[0] + 2 * frame


# --- folders of images ------------------------------------------------------------------------------------


def image_folder(folder, count=12):
    for i in range(count):
        Image.fromarray(scene(i, (72, 128))).save(folder / f"frame_{i + 1}.png")
    return folder


def test_folder_of_images_in_numeric_order(tmp_path):
    image_folder(tmp_path)
    (tmp_path / "notes.txt").write_text("no frame")
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "sub").mkdir()
    with open_frames(tmp_path, fps=24) as source:
        assert isinstance(source, ImageFolder)
        assert (len(source), source.fps, source.size) == (12, 24, (72, 128))
        assert numbers(source, source.iterate()) == list(range(12))
        assert numbers(source, source.read([11, 2, 2])) == [11, 2, 2]
        assert [f.name for f in list_images(tmp_path)][8:] == [f"frame_{i}.png" for i in (9, 10, 11, 12)]


def test_single_image_is_a_video_of_one_frame(tmp_path):
    Image.fromarray(scene(5, (72, 128))).save(tmp_path / "a.png")
    with open_frames(tmp_path / "a.png") as source:
        assert numbers(source, source.iterate()) == [5]


def test_images_of_different_sizes(tmp_path):
    image_folder(tmp_path, 2)
    Image.fromarray(np.zeros((10, 20, 3), dtype=np.uint8)).save(tmp_path / "frame_3.png")
    with open_frames(tmp_path) as source, pytest.raises(InputError, match=r"frame_3.png: is 20x10") as error:
        list(source.iterate())
    one_line(error)


def test_empty_folder_and_broken_image(tmp_path):
    with pytest.raises(InputError, match="has no images"):
        open_frames(tmp_path)
    (tmp_path / "a.png").write_bytes(b"not a png")
    with pytest.raises(InputError, match="not an image"):
        open_frames(tmp_path)
    image_folder(tmp_path, 1)
    whole = (tmp_path / "frame_1.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not an image"):
        open_frames(tmp_path)


def test_kinds_of_images(tmp_path):
    grey = np.linspace(0, 255, 48, dtype=np.uint8).reshape(6, 8)
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(np.dstack([rgb, np.full_like(grey, 9)])).save(tmp_path / "alpha.png")
    Image.fromarray(rgb).quantize(64).save(tmp_path / "palette.png")
    for name in ("grey", "deep", "alpha", "palette"):
        found = read_image(tmp_path / f"{name}.png")
        assert found.shape == (6, 8, 3) and found.dtype == np.uint8
        assert np.abs(found.astype(int) - rgb).max() <= (4 if name == "palette" else 0)
    turned = Image.fromarray(rgb)
    exif = turned.getexif()
    exif[0x0112] = 6  # to be shown turned clockwise by 90 degrees
    turned.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), np.rot90(rgb, -1))


def test_huge_image_is_refused(tmp_path):
    Image.new("1", (11_000, 11_000)).save(tmp_path / "huge.png")
    with pytest.raises(InputError, match="11000x11000"):
        open_frames(tmp_path / "huge.png")


# --- optional decoders ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decoder", "install"), [("decord", "pip install decord"), ("torchcodec", r"'video-saliency\[torchcodec\]'")]
)
def test_missing_package_is_said_late_and_clearly(stamped, monkeypatch, decoder, install):
    for name in ("decord", "torchcodec", "torchcodec.decoders"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=install) as error:
        open_frames(stamped("h264_gop12"), decoder)
    one_line(error)


@pytest.fixture
def fake_decord(monkeypatch):
    """A decord whose reader is PyAV, to test the rules around it."""

    class Reader:
        def __init__(self, path, ctx, num_threads):
            assert num_threads == 1
            self.source = open_frames(path)

        def __len__(self):
            return len(self.source) + module.miscount

        def get_batch(self, indices):
            module.wait()
            frames = self.source.read(indices)
            return types.SimpleNamespace(asnumpy=lambda: frames)

    module = types.SimpleNamespace(VideoReader=Reader, cpu=lambda i: i, miscount=0, wait=lambda: None)
    monkeypatch.setitem(sys.modules, "decord", module)
    return module


def test_decord_reads_what_it_reads_well(stamped, fake_decord):
    with open_frames(stamped("h264_gop12"), "decord") as source:
        assert numbers(source, source.read([5, 3, 5])) == [5, 3, 5]
        assert numbers(source, source.iterate(30)) == list(range(30, FRAMES))
        assert source.read([]).shape == (0, 180, 320, 3)


@pytest.mark.parametrize(
    "name",
    [
        "mpeg4_bframes_avi",
        "h264_edit_list",
        "hevc_open_gop",
        "h264_open_gop",
        "mpeg4_bframes_mp4",
        "h264_ts",
        "mpeg2_bframes_ts",
        "msmpeg4_asf",
    ],
)
def test_decord_refuses_what_it_misreads(stamped, fake_decord, name):
    with pytest.raises(InputError, match=r"decord .*; use decoder pyav") as error:
        open_frames(stamped(name), "decord")
    one_line(error)


def test_decord_that_counts_differently_is_refused(stamped, fake_decord):
    fake_decord.miscount = 1
    with pytest.raises(InputError, match=f"decord counts {FRAMES + 1} frames, not {FRAMES}"):
        open_frames(stamped("h264_gop12"), "decord")


def test_decord_that_hangs_is_left_behind(stamped, fake_decord, monkeypatch):
    import threading

    release = threading.Event()
    fake_decord.wait = release.wait
    monkeypatch.setattr(optional_decoders, "DECORD_TIMEOUT", 0.2)
    with open_frames(stamped("h264_gop12"), "decord") as source, pytest.raises(InputError, match="hangs"):
        source.read([0])
    release.set()


@pytest.mark.parametrize("name", ["mpeg4_bframes_avi", "h264_open_gop", "h264_ts", "mpeg2_bframes_ts"])
def test_torchcodec_refuses_what_it_misreads(stamped, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "torchcodec", types.ModuleType("torchcodec"))
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", types.ModuleType("torchcodec.decoders"))
    with pytest.raises(InputError, match=r"torchcodec .*; use decoder pyav") as error:
        open_frames(stamped(name), "torchcodec")
    one_line(error)


EXACT = {
    "pyav": set(RECIPES),
    "decord": {
        "h264_gop250", "h264_gop12", "h264_vfr", "h264_rot90", "h264_522x222", "h264_444_427x239", "h264_flv", "vp8",
        "vp9", "mpeg4_gop12_avi", "mpeg4_odd_avi", "mpeg4_gaps_avi", "mjpeg_avi", "ffv1_mkv",
    },
    "torchcodec": {
        "h264_gop250", "h264_gop12", "h264_vfr", "h264_edit_list", "h264_rot90", "h264_522x222", "h264_444_427x239",
        "h264_flv", "hevc_open_gop", "vp8", "vp9", "av1", "mpeg4_gop12_avi", "mpeg4_bframes_mp4", "mpeg4_odd_avi",
        "mpeg4_gaps_avi", "msmpeg4_asf", "mjpeg_avi", "ffv1_mkv", "gif",
    },
}  # fmt: skip
"""Decoder -> the files it must read exactly; every other one it must refuse."""


def need(decoder, path):
    """Skip where a decoder cannot be there: not installed, or torchcodec without FFmpeg's libraries."""
    if importlib.util.find_spec("av" if decoder == "pyav" else decoder) is None:
        pytest.skip(f"{decoder} is not installed")
    if decoder == "torchcodec":
        try:
            open_frames(path, decoder).close()
        except InputError as error:
            if "needs FFmpeg's shared libraries" in str(error):
                pytest.skip(str(error))
            raise


@pytest.mark.parametrize("name", list(RECIPES))
@pytest.mark.parametrize("decoder", list(EXACT))
def test_a_decoder_reads_its_files_exactly_and_refuses_the_others(stamped, decoder, name):
    need(decoder, stamped("h264_gop12"))
    if name not in EXACT[decoder]:
        with pytest.raises(InputError, match="use decoder pyav") as error:
            open_frames(stamped(name), decoder)
        one_line(error)
        return
    first = RECIPES[name].hidden
    with open_frames(stamped(name), decoder) as source:
        assert numbers(source, source.iterate()) == list(range(first, first + FRAMES))
        wanted = [FRAMES - 1, 0, 17, 18, 5]
        assert numbers(source, source.read(wanted)) == [first + i for i in wanted]


def test_lists_of_exact_files_name_files_that_are_made():
    assert all(names <= set(RECIPES) for names in EXACT.values())


LIBRARY = "FFmpeg version {0}:\nOSError: libavutil.so.{1}: cannot open shared object file: No such file or directory\n"
UNFIT = "FFmpeg version 8:\nOSError: libtorchcodec_core8.so: undefined symbol: _ZN5torch\n"


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (LIBRARY.format(8, 60) + LIBRARY.format(7, 59), "needs FFmpeg's shared libraries"),
        (UNFIT + LIBRARY.format(7, 59), "does not fit the installed torch"),
    ],
)
def test_torchcodec_without_its_libraries_is_said(stamped, monkeypatch, report, said):
    def refuse(*_, **__):
        raise RuntimeError(f"Could not load libtorchcodec. Likely causes:\n 1. FFmpeg\n{report}")

    module = types.ModuleType("torchcodec.decoders")
    module.VideoDecoder = refuse
    monkeypatch.setitem(sys.modules, "torchcodec", types.ModuleType("torchcodec"))
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", module)
    with pytest.raises(InputError, match=said) as error:
        open_frames(stamped("h264_gop12"), "torchcodec")
    assert "use decoder pyav" in one_line(error)
