"""Frames come with the planes they were decoded to where a film may keep these, and only there."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from saliency.io.frames import open_frames
from saliency.io.pictures import Picture, matrix_of, planes_of
from saliency.io.stamped import scene
from saliency.io.video_writer import VideoWriter

SIZE = (48, 80)


def clip(path, matrix=2, colour_range=0, pixels="yuv420p", size=SIZE, frames=4):
    """A film without loss whose colours are tagged with FFmpeg's numbers."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264" if "p10" not in pixels else "ffv1", rate=25, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = *size, pixels
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, colour_range
        for i in range(frames):
            picture = av.VideoFrame.from_ndarray(scene(i, size), format="rgb24").reformat(format=pixels)
            picture.pts, picture.time_base = i, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("tag", "matrix"), [(1, "bt709"), (2, "bt601"), (5, "bt601"), (6, "bt601"), (7, None), (9, None)]
)
def test_planes_come_with_their_matrix(tmp_path, tag, matrix):
    with open_frames(clip(tmp_path / "a.mp4", tag)) as source:
        frames, pictures = list(source.iterate()), list(source.pictures())
        assert len(list(source.pictures(1, 3))) == 2
    assert [picture.matrix for picture in pictures] == [matrix] * 4
    for frame, picture in zip(frames, pictures, strict=True):
        np.testing.assert_array_equal(frame, picture.rgb)
        assert (picture.stored is None) == (matrix is None)
        if picture.stored is not None:
            turned = VideoReformatter().reformat(
                picture.stored,
                format="rgb24",
                src_colorspace={"bt709": Colorspace.ITU709, "bt601": Colorspace.ITU601}[matrix],
                src_color_range=ColorRange.MPEG,
            )
            np.testing.assert_array_equal(turned.to_ndarray(), frame)


@pytest.mark.parametrize(
    "other",
    [
        {"colour_range": 2},
        {"pixels": "yuv444p"},
        {"pixels": "yuv420p10le"},
        {"pixels": "yuv422p"},
    ],
)
def test_other_planes_are_left_to_rgb(tmp_path, other):
    path = clip(tmp_path / ("a.mkv" if "p10" in other.get("pixels", "") else "a.mp4"), 1, **other)
    with open_frames(path) as source:
        assert all(picture.stored is None and picture.matrix is None for picture in source.pictures())


def test_turned_and_odd_pictures_are_left_to_rgb(tmp_path):
    straight, turned = clip(tmp_path / "a.mp4", 1), tmp_path / "turned.mp4"
    with av.open(str(straight)) as source, av.open(str(turned), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(90)
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    with open_frames(turned) as source:
        assert source.rotation == 90
        assert all(picture.stored is None for picture in source.pictures())
    odd = av.VideoFrame(81, 48, "yuv420p")
    assert matrix_of(odd) is None


def paint_nothing(planes, film, matrix):
    for plane, out in zip(planes, film, strict=True):
        np.copyto(out, plane)


@pytest.mark.parametrize(("tag", "matrix"), [(1, 1), (2, 6), (6, 6), (9, 1)])
def test_a_film_is_tagged_as_it_is_stored(tmp_path, tag, matrix):
    """Whatever the source's matrix, the film shows the same colours."""
    with open_frames(clip(tmp_path / "a.mp4", tag)) as source:
        frames = list(source.iterate())
        with VideoWriter(tmp_path / "film.mp4", 25, SIZE, crf=0) as writer:
            for picture in source.pictures():
                writer.write_painted(picture, paint_nothing)
    with av.open(str(tmp_path / "film.mp4")) as film:
        context = film.streams.video[0].codec_context
        assert (context.colorspace, context.color_range, context.color_primaries, context.color_trc) == (
            matrix,
            1,
            1,
            1,
        )
    with open_frames(tmp_path / "film.mp4", expected=4) as film:
        for found, frame in zip(film.iterate(), frames, strict=True):
            apart = np.abs(found.astype(int) - frame)
            assert apart.max() == 0 if tag != 9 else apart.mean() < 4  # through RGB colours lose half their places


def test_a_frame_of_another_kind_is_turned_into_the_film_s(tmp_path):
    with open_frames(clip(tmp_path / "a.mp4", 1)) as source, open_frames(clip(tmp_path / "b.mp4", 6)) as other:
        first, second = next(iter(source.pictures())), next(iter(other.pictures()))
        with VideoWriter(tmp_path / "film.mp4", 25, SIZE, crf=0) as writer:
            writer.write_painted(first, paint_nothing)
            writer.write_painted(second, paint_nothing)
            writer.write_painted(Picture(rgb=second.rgb), paint_nothing)
            with pytest.raises(ValueError, match="expected uint8"):
                writer.write_painted(Picture(rgb=second.rgb[:-2]), paint_nothing)
    with open_frames(tmp_path / "film.mp4", expected=3) as film:
        a, b, c = film.iterate()
    np.testing.assert_array_equal(a, first.rgb)
    np.testing.assert_array_equal(b, c)
    assert np.abs(b.astype(int) - second.rgb).mean() < 4


def test_painting_leaves_what_the_decoder_still_needs(tmp_path):
    """Later frames are predicted from earlier ones."""
    with open_frames(clip(tmp_path / "a.mp4", 1, frames=12)) as source:
        frames = list(source.iterate())
        with VideoWriter(tmp_path / "film.mp4", 25, SIZE) as writer:
            for picture, frame in zip(source.pictures(), frames, strict=True):
                np.testing.assert_array_equal(picture.rgb, frame)
                before = [plane.copy() for plane in planes_of(picture.stored)]
                writer.write_painted(picture, lambda planes, film, matrix: [out.fill(90) for out in film])
                for plane, kept in zip(planes_of(picture.stored), before, strict=True):
                    np.testing.assert_array_equal(plane, kept)
