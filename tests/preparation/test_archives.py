import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from saliency.errors import InputError
from saliency.preparation.archives import unpack


def make_zip(path: Path, members: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, data)
    return path


def make_tar(path: Path, members: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            info.size = len(data) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_files_arrive_once(tmp_path, make):
    archive = make(tmp_path / "a", {"video/001.AVI": b"x" * 100, "annotation/0001/maps/0001.png": b"y"})
    assert unpack(archive, tmp_path / "out") == 2
    assert (tmp_path / "out/video/001.AVI").read_bytes() == b"x" * 100
    assert unpack(archive, tmp_path / "out") == 0
    (tmp_path / "out/video/001.AVI").write_bytes(b"half")
    assert unpack(archive, tmp_path / "out") == 1


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "C:/evil", "..\\evil"])
def test_nothing_leaves_the_folder(tmp_path, make, name):
    archive = make(tmp_path / "a", {"fine": b"1", name: b"2"})
    with pytest.raises(InputError, match="leads out of the folder"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_are_refused(tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
        with pytest.raises(InputError, match="not a plain file"):
            unpack(make_tar(tmp_path / "a.tar", {"link": b""}, kind), tmp_path / "out")
    with pytest.raises(InputError, match="not a plain file"):
        unpack(make_zip(tmp_path / "a.zip", {"link": b"/etc/passwd"}, stat.S_IFLNK), tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/video").symlink_to(tmp_path)
    with pytest.raises(InputError, match="is a link"):
        unpack(make_zip(tmp_path / "b.zip", {"video/x": b"1"}), tmp_path / "out")


def test_bad_archives_are_one_line(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        unpack(tmp_path / "none.zip", tmp_path)
    (tmp_path / "a.rar").write_bytes(b"Rar!")
    with pytest.raises(InputError, match="unar"):
        unpack(tmp_path / "a.rar", tmp_path)
    (tmp_path / "a.zip").write_bytes(b"hello")
    with pytest.raises(InputError, match="neither a zip nor a tar"):
        unpack(tmp_path / "a.zip", tmp_path)
    with pytest.raises(InputError, match="says it holds"):
        unpack(make_zip(tmp_path / "big.zip", {"x": b"1" * 100}), tmp_path / "out", max_bytes=99)
    whole = make_zip(tmp_path / "cut.zip", {"x": b"1" * 5000}).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole.replace(b"1" * 10, b"2" * 10, 1))
    with pytest.raises(InputError, match="damaged"):
        unpack(tmp_path / "cut.zip", tmp_path / "out2")
