"""Test videos whose pictures carry their own frame number, to prove that a decoder is exact to the frame.

The number is written in the top left corner as 12 blocks, most significant bit first, white for 1; the row below
repeats it inverted, so that an unreadable picture is told from a wrong one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 12
_BLOCK = (12 / 360, 20 / 640)
"""Height and width of a block as shares of the picture's."""


def stamp(frame: np.ndarray, number: int) -> None:
    """Write a number in [0, 4095] into a frame (H, W, 3), in place."""
    height, width = frame.shape[:2]
    down, across = _BLOCK[0] * height, _BLOCK[1] * width
    for place in range(BITS):
        bit = number >> (BITS - 1 - place) & 1
        columns = slice(round(place * across), round((place + 1) * across))
        frame[: round(down), columns] = 255 * bit
        frame[round(down) : round(2 * down), columns] = 255 * (1 - bit)


def read_stamp(frame: np.ndarray) -> int | None:
    """Return the number in a frame, or None if it cannot be read."""
    height, width = frame.shape[:2]
    number = 0
    for place in range(BITS):
        column = int((place + 0.5) * _BLOCK[1] * width)
        above = int(frame[int(0.5 * _BLOCK[0] * height), column].astype(int).sum())
        below = int(frame[int(1.5 * _BLOCK[0] * height), column].astype(int).sum())
        if abs(above - below) < 200:
            return None
        number = number * 2 + (above > below)
    return number


def scene(number: int, size: tuple[int, int]) -> np.ndarray:
    """Return a stamped frame (H, W, 3) with moving content, so that frames are predicted from each other."""
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    frame = np.empty((height, width, 3), dtype=np.uint8)
    frame[..., 0] = (columns * 2 + number * 3) % 256
    frame[..., 1] = (rows * 3 + columns + number) % 256
    frame[..., 2] = (128 + 100 * np.sin((rows + columns + 5 * number) / 17)).astype(np.uint8)
    y, x = height / 2 + height / 4 * np.sin(number / 9), width / 2 + width / 3 * np.cos(number / 13)
    frame[(rows - y) ** 2 + (columns - x) ** 2 < (height / 8) ** 2] = (250, 220, 40)
    stamp(frame, number)
    return frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one kind of test video is made.

    Attributes:
        codec: FFmpeg's name of an encoder.
        suffix: of the file, which chooses the file format.
        options: of the encoder.
        size: (H, W).
        pixels: pixel format.
        times: presentation time of frame i in 1/30 s; must grow.
        rotation: degrees counter-clockwise for players to turn the picture by.
        hidden: frames at the beginning that an edit list hides (made by copying the stream from before the cut).
        packed: mpeg4 in AVI with B-frames as DivX and Xvid store them (see `_pack`).
    """

    codec: str
    suffix: str
    options: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] = (180, 320)
    pixels: str = "yuv420p"
    times: Callable[[int], int] = lambda i: i
    rotation: int = 0
    hidden: int = 0
    packed: bool = False


_X264 = {"crf": "20", "preset": "veryfast"}

RECIPES: dict[str, Recipe] = {
    "h264_gop250": Recipe(codec="libx264", suffix=".mp4", options={**_X264, "bf": "3", "g": "250"}),
    "h264_gop12": Recipe(codec="libx264", suffix=".mp4", options={**_X264, "bf": "3", "g": "12"}),
    "h264_open_gop": Recipe(
        codec="libx264",
        suffix=".mkv",
        options={**_X264, "bf": "3", "x264-params": "open-gop=1:keyint=12:scenecut=0"},
    ),
    "h264_vfr": Recipe(codec="libx264", suffix=".mp4", options={**_X264, "bf": "3"}, times=lambda i: i + i // 7 * 3),
    "h264_edit_list": Recipe(codec="libx264", suffix=".mp4", options={**_X264, "bf": "3"}, hidden=13),
    "h264_rot90": Recipe(codec="libx264", suffix=".mp4", options=_X264, rotation=90),
    "h264_522x222": Recipe(codec="libx264", suffix=".mp4", options=_X264, size=(222, 522)),
    "h264_444_427x239": Recipe(codec="libx264", suffix=".mp4", options=_X264, size=(239, 427), pixels="yuv444p"),
    "h264_ts": Recipe(codec="libx264", suffix=".ts", options={**_X264, "bf": "3", "g": "12"}),
    "h264_flv": Recipe(codec="libx264", suffix=".flv", options={**_X264, "bf": "3", "g": "12"}),
    "hevc_open_gop": Recipe(
        codec="libx265",
        suffix=".mp4",
        options={"crf": "24", "preset": "ultrafast", "x265-params": "bframes=4:keyint=15:log-level=none"},
    ),
    "vp8": Recipe(
        codec="libvpx",
        suffix=".webm",
        options={
            "b": "1M",
            "auto-alt-ref": "1",
            "lag-in-frames": "16",
            "g": "20",
            "deadline": "realtime",
            "cpu-used": "8",
        },
    ),
    "vp9": Recipe(
        codec="libvpx-vp9",
        suffix=".webm",
        options={
            "b": "1M",
            "auto-alt-ref": "1",
            "lag-in-frames": "16",
            "g": "20",
            "deadline": "realtime",
            "cpu-used": "8",
        },
    ),
    "av1": Recipe(codec="libsvtav1", suffix=".mp4", options={"preset": "12", "crf": "35", "g": "20"}),
    "mpeg4_gop12_avi": Recipe(codec="mpeg4", suffix=".avi", options={"b": "2M", "g": "12"}),
    "mpeg4_bframes_avi": Recipe(codec="mpeg4", suffix=".avi", options={"b": "2M", "g": "12", "bf": "2"}),
    "mpeg4_packed_avi": Recipe(
        codec="mpeg4", suffix=".avi", options={"b": "2M", "g": "12", "bf": "2", "b_strategy": "0"}, packed=True
    ),
    "mpeg4_bframes_mp4": Recipe(codec="mpeg4", suffix=".mp4", options={"b": "2M", "g": "12", "bf": "2"}),
    "mpeg4_odd_avi": Recipe(codec="mpeg4", suffix=".avi", options={"b": "2M"}, size=(181, 321)),
    "mpeg4_gaps_avi": Recipe(  # the missing times become empty chunks, which the header counts
        codec="mpeg4", suffix=".avi", options={"b": "2M", "g": "12"}, times=lambda i: i + i // 7 * 2
    ),
    "mpeg2_bframes_ts": Recipe(codec="mpeg2video", suffix=".ts", options={"b": "3M", "g": "12", "bf": "2"}),
    "msmpeg4_asf": Recipe(codec="msmpeg4", suffix=".asf", options={"b": "2M", "g": "12"}),
    "mjpeg_avi": Recipe(codec="mjpeg", suffix=".avi", options={"q:v": "4"}, pixels="yuvj420p"),
    "ffv1_mkv": Recipe(codec="ffv1", suffix=".mkv"),
    "gif": Recipe(codec="gif", suffix=".gif", pixels="rgb8"),
}
"""Kinds of video files people have, among them all that common decoders are known to misread."""


def write_stamped(path: Path, recipe: Recipe, frames: int) -> None:
    """Write a test video in which frame i (as shown) carries the number ``i + recipe.hidden``.

    Raises:
        av.error.FFmpegError: this PyAV has no such encoder.
    """
    if not (recipe.hidden or recipe.packed):
        _encode(path, recipe, frames)
        return
    whole = path.with_name(f"{path.stem}_whole{path.suffix}")
    _encode(whole, recipe, frames + recipe.hidden)
    if recipe.hidden:
        _cut(whole, path, recipe.hidden)
    else:
        _pack(whole, path)
    whole.unlink()


def _encode(path: Path, recipe: Recipe, frames: int) -> None:
    height, width = recipe.size
    unit = Fraction(1, 30)
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream(recipe.codec, rate=30, options=dict(recipe.options))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, recipe.pixels
        stream.codec_context.time_base = unit
        if recipe.rotation:
            stream.set_display_rotation(recipe.rotation)
        for i in range(frames):
            picture = av.VideoFrame.from_ndarray(scene(i, recipe.size), format="rgb24")
            picture = picture.reformat(format=recipe.pixels)
            picture.pts, picture.time_base = recipe.times(i), unit
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def _cut(source: Path, path: Path, frames: int) -> None:
    """Copy a stream so that an edit list hides its first frames."""
    with av.open(str(source)) as given, av.open(str(path), mode="w") as container:
        pictures = given.streams.video[0]
        assert pictures.time_base is not None
        shift = round(Fraction(frames, 30) / pictures.time_base)
        copy = container.add_stream_from_template(pictures)
        for packet in given.demux(pictures):
            if packet.pts is None or packet.dts is None:
                continue
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copy
            container.mux(packet)


_PICTURE = b"\x00\x00\x01\xb6"
_PACKED = b"\x00\x00\x01\xb2DivX503b1393p"  # user data: "packed", said behind the sequence header


def _pack(source: Path, path: Path) -> None:
    """Copy an mpeg4 stream with B-frames as DivX and Xvid pack them into an AVI.

    A picture that is shown later shares a chunk with the first B-frame shown before it; so that there are as many
    chunks as pictures, a chunk that codes nothing stands at the end of each such group (ISO/IEC 14496-2, `vop_coded`).
    """
    with av.open(str(source)) as given:
        pictures = given.streams.video[0]
        rate = pictures.average_rate
        assert rate is not None
        packets = [bytes(packet) for packet in given.demux(pictures) if packet.size]
        size = pictures.height, pictures.width
    chunks, empty = [], None
    for data in packets:
        start = data.index(_PICTURE)
        kind = data[start + 4] >> 6  # 0: I, 1: P, 2: B
        if kind == 2 and empty is None:
            empty = _nothing_coded(chunks[-1], rate.numerator)
            chunks[-1] += data
            continue
        if kind != 2 and empty is not None:
            chunks.append(empty)
            empty = None
        chunks.append(data[:start] + _PACKED + data[start:] if kind == 0 else data)
    chunks += [empty] if empty is not None else []
    with av.open(str(path), mode="w") as container:
        copy = container.add_stream("mpeg4", rate=rate)
        assert isinstance(copy, av.VideoStream)
        copy.height, copy.width, copy.pix_fmt = *size, "yuv420p"
        for i, chunk in enumerate(chunks):
            packet = av.Packet(chunk)
            packet.pts = packet.dts = i
            packet.time_base, packet.stream = 1 / rate, copy
            packet.is_keyframe = chunk[chunk.index(_PICTURE) + 4] >> 6 == 0
            container.mux(packet)


def _nothing_coded(chunk: bytes, ticks: int) -> bytes:
    """Return the header of a chunk's P-picture with "not coded" in place of the picture."""
    start = chunk.index(_PICTURE) + 4
    bits = "".join(f"{byte:08b}" for byte in chunk[start : start + 8])
    # type (2 bits), a 1 for each second that has passed, 0, marker, ticks within the second, marker
    header = "01" + bits[2 : bits.index("0", 2) + 2 + (ticks - 1).bit_length() + 1] + "0"
    header += "0" + "1" * (-(len(header) + 1) % 8)
    return _PICTURE + int(header, 2).to_bytes(len(header) // 8, "big")
