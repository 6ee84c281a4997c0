"""Nothing borrowed: every video and picture and every large file in the repository is listed as made by the project.

`own_media.txt` names each with git's id of its content and its maker. After making a file anew, put its new id there;
the failing test prints the line.
"""

import subprocess
from pathlib import Path

import pytest

from saliency.preparation.downloads import blob_id

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_name("own_media.txt")
LARGE = 200_000

VIDEOS = (
    ".avi",
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".flv",
    ".ts",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".asf",
    ".ogv",
    ".y4m",
)
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".svg", ".pdf")
MAGIC = {
    "AVI or WebP": (b"RIFF", 0),
    "MP4": (b"ftyp", 4),
    "Matroska": (b"\x1aE\xdf\xa3", 0),
    "FLV": (b"FLV\x01", 0),
    "Ogg": (b"OggS", 0),
    "ASF": (b"0&\xb2u", 0),
    "MPEG": (b"\x00\x00\x01\xba", 0),
    "PNG": (b"\x89PNG", 0),
    "JPEG": (b"\xff\xd8\xff", 0),
    "GIF": (b"GIF8", 0),
    "BMP": (b"BM", 0),
    "TIFF": (b"II*\x00", 0),
    "TIFF, big-endian": (b"MM\x00*", 0),
    "PDF": (b"%PDF", 0),
}


def must_be_listed(path):
    """Why a file must be in the list; empty if it need not."""
    with path.open("rb") as file:
        head = file.read(16)
    for kind, (mark, at) in MAGIC.items():
        if head[at : at + len(mark)] == mark:
            return kind
    if path.suffix.lower() in VIDEOS + PICTURES:
        return path.suffix
    return f"{path.stat().st_size} bytes" if path.stat().st_size > LARGE else ""


def listed():
    """path -> (git blob id, maker)."""
    rows = [line.split(maxsplit=2) for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    return {path: (blob, maker) for path, blob, maker in rows}


def unlisted(root, paths, known):
    """The lines that the list lacks."""
    found = []
    for name in paths:
        path = root / name
        why = "" if path.is_symlink() or not path.is_file() else must_be_listed(path)
        if why and known.get(name, ("",))[0] != blob_id(path):
            found.append(f"{name} {blob_id(path)} MAKER  ({why})")
    return found


def test_every_video_picture_and_large_file_is_our_own():
    command = ["git", "ls-files", "-z"]
    try:
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a git checkout ({error})")
    names = [name for name in names if name]
    assert "pyproject.toml" in names
    lacking = unlisted(ROOT, names, listed())
    assert not lacking, f"not made by the project, or made anew and not in {LIST.name}:\n" + "\n".join(lacking)


def test_the_list_holds_no_remains_and_every_maker_is_here():
    for path, (_, maker) in listed().items():
        assert (ROOT / path).is_file(), path
        script = next(word for word in maker.split() if word.endswith(".py"))
        assert (ROOT / script).is_file(), maker


def test_what_is_borrowed_would_be_seen(tmp_path):
    (tmp_path / "film.AVI").write_bytes(b"RIFF....AVI LIST")
    (tmp_path / "film.bin").write_bytes(b"\x00\x00\x00\x18ftypisom0000")
    (tmp_path / "photo.dat").write_bytes(b"\xff\xd8\xff\xe0" + b"0" * 20)
    (tmp_path / "array.npy").write_bytes(b"0" * (LARGE + 1))
    (tmp_path / "small.npy").write_bytes(b"0" * LARGE)
    (tmp_path / "text.md").write_text("words")
    names = sorted(path.name for path in tmp_path.iterdir())
    found = unlisted(tmp_path, names, {})
    assert [line.split()[0] for line in found] == ["array.npy", "film.AVI", "film.bin", "photo.dat"]
    known = {line.split()[0]: (line.split()[1], "maker.py") for line in found}
    assert unlisted(tmp_path, names, known) == []
    (tmp_path / "photo.dat").write_bytes(b"\xff\xd8\xff\xe0" + b"1" * 20)  # replaced by another one
    assert len(unlisted(tmp_path, names, known)) == 1
