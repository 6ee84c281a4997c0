"""What is built holds everything, with and without links in the checkout, and works from any folder."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from saliency.io.stamped import Recipe, write_stamped

REPO = Path(__file__).resolve().parents[1]
LINKS = ("saliency/models", "saliency/datasets", "saliency/metrics", "saliency/configs", ".editable/saliency")


def run(*command: object, **options: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=250, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy(folder: Path, *, links: bool) -> Path:
    """The committed and new files of this checkout, as a clone would have them."""
    for name in run("git", "ls-files", "-co", "--exclude-standard", cwd=REPO).splitlines():
        source, target = REPO / name, folder / name
        if name in LINKS and not links:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(str(source.readlink()))  # what git leaves where it may not make links
        elif source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return folder


def build(folder: Path, out: Path, *options: str) -> Path:
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, *options, folder)
    return out


def names(folder: Path) -> dict[str, set[str]]:
    """Suffix of the built file -> the names in it."""
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        return {"whl": set(zipfile.ZipFile(wheel).namelist()), "sdist": set(archive.getnames())}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("package")
    return {
        kind: build(copy(base / kind, links=kind == "links"), base / f"out_{kind}") for kind in ("links", "no_links")
    }


def test_a_checkout_without_links_builds_the_same_files(wheels):
    with_links, without = names(wheels["links"]), names(wheels["no_links"])
    assert with_links == without
    for folder in ("models", "datasets", "metrics", "configs"):
        for file in (REPO / folder).glob("*.py"):
            assert f"saliency/{folder}/{file.name}" in without["whl"]
    assert {"saliency/commands/infer.py", "saliency/py.typed"} <= without["whl"]


def test_the_source_archive_builds_the_same_wheel(wheels, tmp_path):
    (sdist,) = wheels["no_links"].glob("*.tar.gz")
    shutil.unpack_archive(sdist, tmp_path)
    (unpacked,) = tmp_path.iterdir()
    (wheel,) = build(unpacked, tmp_path / "out", "--wheel").glob("*.whl")
    assert set(zipfile.ZipFile(wheel).namelist()) == names(wheels["no_links"])["whl"]


def test_the_wheel_works_from_any_folder(wheels, tmp_path):
    (wheel,) = wheels["no_links"].glob("*.whl")
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel)
    write_stamped(
        work / "clip.mp4", Recipe(codec="libx264", suffix=".mp4", options={"preset": "ultrafast"}, size=(48, 80)), 5
    )
    there = {"cwd": work, "env": {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}}
    found = run(sys.executable, "-c", "import saliency; print(saliency.__file__)", **there)
    assert Path(found.strip()).is_relative_to(site)
    assert "5 frames" in run(sys.executable, "-m", "saliency", "infer", "clip.mp4", "--device", "cpu", **there)
    assert list(work.rglob("clip_saliency.mp4"))
    small = ["data.source.size=48,80", "data.grid=24,40", "train.batch_size=2", "train.device=cpu"]
    said = run(
        *(sys.executable, "-m", "saliency", "train", "mini_tmfi_vinet", "--dry-run", 1, "--synthetic", *small), **there
    )
    assert "nothing was kept" in said


@pytest.mark.parametrize("lost", [True, False])
def test_an_editable_install_needs_the_links(tmp_path, lost):
    folder = copy(tmp_path / "checkout", links=not lost)
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--target"]
    done = subprocess.run(
        [*command, str(tmp_path / "site"), "-e", str(folder)], capture_output=True, text=True, timeout=100
    )
    if lost:
        assert done.returncode != 0
        assert "saliency/models is not a link here" in done.stdout + done.stderr
    else:
        assert done.returncode == 0, done.stderr
        (path,) = (tmp_path / "site").glob("*.pth")
        assert path.read_text().strip() == str(folder / ".editable")
