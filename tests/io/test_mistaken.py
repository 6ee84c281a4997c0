"""Words for somebody who named the wrong thing."""

import pytest

from saliency.errors import InputError
from saliency.io.frames import open_frames


@pytest.mark.parametrize(
    ("begins", "told"),
    [
        (b"", "it is empty, 0 bytes); fetch it again"),
        (b"%PDF-1.4\n", "it is a PDF); save its pages as pictures"),
        (b"PK\x03\x04\x14\0", "it is a ZIP archive or an office document); unpack it"),
        (b"\n<!DOCTYPE html>\n", "it is a web page); download the video itself"),
        (b"<HTML>", "it is a web page); download the video itself"),
        (b"dear diary,\n", "it is text); name a video or a picture"),
        (b"\0\1\2\3\xff", "); re-encode it, e.g. to H.264 in MP4, or fetch it again"),
    ],
)
def test_what_a_file_is_that_is_no_video(tmp_path, begins, told):
    path = tmp_path / "film.mp4"
    path.write_bytes(begins)
    with pytest.raises(InputError) as error:
        open_frames(path)
    assert str(error.value).startswith(f"{path}: is not a video file that can be read (")
    assert str(error.value).count(told) == 1


def test_a_name_that_nothing_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "holiday.mp4").touch()
    for word, told in (
        ("holiday", "did you mean 'holiday.mp4'?"),
        ("holliday.mp4", "did you mean 'holiday.mp4'?"),
        ("zzz", f"look at its name, you are in {tmp_path}"),
        ("nowhere/holiday.mp4", "there is no folder nowhere here"),
    ):
        with pytest.raises(InputError) as error:
            open_frames(word)
        assert str(error.value) == f"{word}: no such file or folder; {told}"


def test_a_folder_of_videos_where_images_are_expected(tmp_path):
    with pytest.raises(InputError, match="name a video or a folder of images"):
        open_frames(tmp_path)
    (tmp_path / "b.mp4").touch()
    (tmp_path / "a.mp4").touch()
    with pytest.raises(InputError, match=r"has no images \(.*\); name one of its files, such as .*a\.mp4"):
        open_frames(tmp_path)
