"""What is written can be played: right size, times, colours and sound, also after an error."""

import os
import signal
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from saliency.errors import InputError
from saliency.io.frames import open_frames
from saliency.io.stamped import read_stamp, scene
from saliency.io.video_writer import Sound, VideoWriter

SIZE = (72, 128)


def with_sound(path, codec, rate=16000, seconds=2.0, start=0.0, frames=50, fps=25):
    """A video with a tone, whose clock starts at `start`."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=fps, options={"b": "1M"})
        video.height, video.width, video.pix_fmt = *SIZE, "yuv420p"
        sound = container.add_stream(codec, rate=rate)
        sound.layout = "mono"
        for i in range(frames):
            picture = av.VideoFrame.from_ndarray(scene(i, SIZE), format="rgb24").reformat(format="yuv420p")
            picture.pts, picture.time_base = i + round(start * fps), Fraction(1, fps)
            container.mux(video.encode(picture))
        tone = (np.sin(np.arange(int(rate * seconds)) * 440 * 2 * np.pi / rate) * 9000).astype(np.int16)
        for begin in range(0, len(tone), 1000):
            piece = av.AudioFrame.from_ndarray(tone[None, begin : begin + 1000], format="s16", layout="mono")
            piece.sample_rate, piece.time_base = rate, Fraction(1, rate)
            piece.pts = begin + round(start * rate)
            container.mux(sound.encode(piece))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


def sound_of(path):
    """(codec, time of the first audible packet, seconds of sound), or None."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        packets = [p for p in container.demux(stream) if p.size and not p.is_discard]
        first = float(packets[0].pts * packets[0].time_base)
        last = float((packets[-1].pts + (packets[-1].duration or 0)) * packets[-1].time_base)
        return stream.codec_context.codec.canonical_name, first, last - first


def seconds_of(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return float(stream.duration * stream.time_base)


@pytest.mark.parametrize("size", [(72, 128), (71, 129), (1, 1), (2, 3), (17, 200)])
@pytest.mark.parametrize("count", [1, 2, 31])
def test_frames_come_back(tmp_path, size, count):
    path = tmp_path / "a.mp4"
    frames = [np.full((*size, 3), (40 + 5 * i, 90, 200 - 5 * i), dtype=np.uint8) for i in range(count)]
    with VideoWriter(path, 25, size) as writer:
        for frame in frames:
            writer.write(frame)
    assert (writer.frames, list(tmp_path.iterdir())) == (count, [path])
    with open_frames(path, expected=count) as source:
        even = (size[0] + size[0] % 2, size[1] + size[1] % 2)
        assert source.size == writer.stored_size == even and source.fps == 25
        for found, frame in zip(source.iterate(), frames, strict=True):
            # no pixel moved: the given picture stands in the top left corner
            assert np.abs(found[: size[0], : size[1]].astype(int) - frame).max() <= 6
    assert seconds_of(path) == pytest.approx(count / 25, abs=1e-3)


def test_format_is_what_players_expect(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 30, SIZE) as writer:
        writer.write(scene(0, SIZE))
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.colorspace, context.color_range) == ("h264", "yuv420p", 1, 1)


def test_the_same_pictures_are_the_same_bytes(tmp_path):
    """Whatever lies in memory beside them; rows that no processor's registers divide are where that showed."""
    size, rng = (50, 82), np.random.default_rng(0)
    noise = rng.integers(0, 255, (*size, 3), np.uint8)
    films = set()
    for attempt in range(12):
        clutter = [np.full(1000 + 700 * attempt, attempt, np.uint8) for _ in range(20)]
        with VideoWriter(tmp_path / "film.mp4", 25, size) as writer:
            for i in range(12):
                writer.write(np.roll(noise, 3 * i, axis=1))
        del clutter
        films.add((tmp_path / "film.mp4").read_bytes())
    assert len(films) == 1


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 30, 90)])
def test_colours_survive(tmp_path, colour):
    with VideoWriter(tmp_path / "a.mp4", 30, SIZE) as writer:
        writer.write(np.full((*SIZE, 3), colour, dtype=np.uint8))
    with open_frames(tmp_path / "a.mp4") as source:
        assert np.abs(source.read([0]).astype(int) - np.array(colour)).max() <= 3


@pytest.mark.parametrize("fps", [0.5, 23.976023976, 25, 29.97002997002997, 30, 59.94005994, 120])
def test_frame_rates(tmp_path, fps):
    with VideoWriter(tmp_path / "a.mp4", fps, SIZE) as writer:
        for i in range(12):
            writer.write(scene(i, SIZE))
    with open_frames(tmp_path / "a.mp4") as source:
        assert source.fps == pytest.approx(fps, rel=1e-6)
        np.testing.assert_allclose(source.timestamps, np.arange(12) / fps, atol=1e-3 / fps)


def test_varying_rate_keeps_the_time_of_each_frame(tmp_path):
    times = np.cumsum([0, 0.04, 0.04, 0.2, 0.033, 0.033, 0.5, 0.04])
    with VideoWriter(tmp_path / "a.mp4", 20, SIZE, variable_rate=True) as writer:
        for i, seconds in enumerate(times):
            writer.write(scene(i, SIZE), seconds)
        with pytest.raises(ValueError, match="not after"):
            writer.write(scene(0, SIZE), times[-1])
        with pytest.raises(ValueError, match="time of each frame"):
            writer.write(scene(0, SIZE))
    with open_frames(tmp_path / "a.mp4") as source:
        np.testing.assert_allclose(source.timestamps, times, atol=2e-5)
        assert [read_stamp(f) for f in source.iterate()] == list(range(len(times)))


def test_pixels_that_are_not_square(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 25, SIZE, pixel_aspect=Fraction(16, 11)) as writer:
        writer.write(scene(0, SIZE))
    with open_frames(tmp_path / "a.mp4") as source:
        assert source.pixel_aspect == Fraction(16, 11) and source.size == SIZE


def copy_frames(source_path, target, **options):
    with (
        open_frames(source_path) as source,
        VideoWriter(target, source.fps, source.size, Sound(path=source_path, start=source.start), **options) as writer,
    ):
        for frame in source.iterate():
            writer.write(frame)


@pytest.mark.parametrize(
    ("codec", "suffix", "kept"),
    [("aac", ".mp4", "aac"), ("libmp3lame", ".avi", "mp3"), ("pcm_s16le", ".avi", "aac"), ("flac", ".mkv", "aac")],
)
def test_sound_is_kept(tmp_path, codec, suffix, kept):
    source = with_sound(tmp_path / f"source{suffix}", codec)
    copy_frames(source, tmp_path / "out.mp4")
    found, first, seconds = sound_of(tmp_path / "out.mp4")
    assert found == kept
    assert first == pytest.approx(0, abs=0.07)
    assert seconds == pytest.approx(2, abs=0.15)
    assert seconds_of(tmp_path / "out.mp4") == pytest.approx(2, abs=1e-3)
    with av.open(str(tmp_path / "out.mp4")) as container:  # and it can be decoded
        loudest = max(np.abs(f.to_ndarray()).max() for f in container.decode(audio=0))
        assert loudest > 0.1


def test_sound_and_picture_stay_together_when_the_clock_starts_late(tmp_path):
    source = with_sound(tmp_path / "source.ts", "libmp3lame", start=3.0)
    with open_frames(source) as frames:
        assert frames.start > 1
    copy_frames(source, tmp_path / "out.mp4")
    _, first, seconds = sound_of(tmp_path / "out.mp4")
    _, given_first, given_seconds = sound_of(source)
    # the ends are compared: sound from before the first frame may be hidden
    assert first + seconds == pytest.approx(given_first + given_seconds - frames.start, abs=0.005)


def test_source_without_sound(tmp_path):
    with VideoWriter(tmp_path / "silent.mp4", 30, SIZE) as writer:
        writer.write(scene(0, SIZE))
    copy_frames(tmp_path / "silent.mp4", tmp_path / "out.mp4")
    assert sound_of(tmp_path / "out.mp4") is None
    with VideoWriter(tmp_path / "b.mp4", 30, SIZE, sound=Sound(path=tmp_path)) as writer:  # a folder of images
        writer.write(scene(0, SIZE))
    assert sound_of(tmp_path / "b.mp4") is None


def test_after_an_error_the_beginning_is_there_and_the_sound_is_cut(tmp_path):
    source = with_sound(tmp_path / "source.mp4", "aac", seconds=2.0)
    with (
        pytest.raises(RuntimeError, match="stop"),
        VideoWriter(tmp_path / "out.mp4", 25, SIZE, sound=Sound(path=source)) as writer,
    ):
        for i in range(20):
            writer.write(scene(i, SIZE))
        raise RuntimeError("stop")
    with open_frames(tmp_path / "out.partial.mp4", expected=20) as found:
        assert [read_stamp(f) for f in found.iterate()] == list(range(20))
    assert sound_of(tmp_path / "out.partial.mp4")[2] < 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.partial.mp4", "source.mp4"]


def test_no_frames_no_file(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 30, SIZE):
        pass
    assert list(tmp_path.iterdir()) == []


def test_killed_process_leaves_something_to_play(tmp_path):
    code = (
        "import sys, time\n"
        "from saliency.io.stamped import scene\n"
        "from saliency.io.video_writer import Sound, VideoWriter\n"
        f"with VideoWriter({str(tmp_path / 'a.mp4')!r}, 10, {SIZE}) as writer:\n"
        "    for i in range(150): writer.write(scene(i, writer.size))\n"
        "    print('written', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().strip() == "written"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=20)
    (left,) = tmp_path.iterdir()
    with av.open(str(left)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 60


def test_bad_arguments(tmp_path):
    for path, fps, size, message in (
        (tmp_path / "a.avi", 30, SIZE, "as .mp4"),
        (tmp_path / "a.mp4", 0, SIZE, "frames per second"),
        (tmp_path / "a.mp4", float("nan"), SIZE, "frames per second"),
        (tmp_path / "a.mp4", 30, (0, 5), "0 pixels"),
        (tmp_path / "no" / "a.mp4", 30, SIZE, "no such folder"),
    ):
        with pytest.raises(InputError, match=message):
            VideoWriter(path, fps, size)


def test_wrong_frames(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 30, SIZE) as writer:
        for bad in (np.zeros((*SIZE, 3)), np.zeros((9, 9, 3), np.uint8), np.zeros((*SIZE, 4), np.uint8)):
            with pytest.raises(ValueError, match="expected uint8"):
                writer.write(bad)
        with pytest.raises(ValueError, match="time of each frame"):
            writer.write(scene(0, SIZE), 0.0)
    with pytest.raises(ValueError, match="closed"):
        writer.write(scene(0, SIZE))


@pytest.mark.parametrize("room", [0, 60_000])
def test_full_disk_is_one_line_and_the_beginning_is_kept(tmp_path, room):
    code = (
        "import resource, signal, sys\n"
        "import numpy as np\n"
        "from saliency.commands.main import exit_with\n"
        "from saliency.io.video_writer import Sound, VideoWriter\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
        "def main():\n"
        f"    with VideoWriter({str(tmp_path / 'a.mp4')!r}, 5, {SIZE}) as writer:\n"
        "        for i in range(300):\n"
        "            noise = np.random.default_rng(i).integers(0, 256, (*writer.size, 3), dtype=np.uint8)\n"
        "            writer.write(noise)\n"
        "exit_with(main)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert "File too large" in done.stderr
    if room:
        with av.open(str(tmp_path / "a.partial.mp4")) as container:
            assert next(container.decode(video=0)).width == SIZE[1]
