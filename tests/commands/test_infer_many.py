"""`saliency infer` with many sources: nobody's failure or name costs another one its output."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from saliency.commands.main import main
from saliency.io.frames import open_frames
from saliency.io.maps import read_density
from saliency.io.sources import find_sources
from saliency.io.stamped import Recipe, scene, write_stamped
from saliency.io.weights import save_model
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import InputSpec

SIZE = (48, 80)
RECIPE = Recipe(codec="libx264", suffix=".mp4", options={"preset": "ultrafast", "crf": "16"}, size=SIZE)


def save(path, seed):
    torch.manual_seed(seed)
    config = ViNetSConfig(input=InputSpec(length=8, size=(32, 64)), width=0.125)
    save_model(path, config.build(), config)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save(tmp_path_factory.mktemp("weights") / "tiny.safetensors", 0)


@pytest.fixture
def infer(weights, tmp_path, capsys, monkeypatch):
    """Run the command in `tmp_path`; returns exit status, standard output and error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as done:
            main(["infer", *map(str, arguments), "--weights", str(weights), "--device", "cpu"])
        out, err = capsys.readouterr()
        return done.value.code, out, err

    return call


def clip(path, frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_stamped(path, RECIPE, frames)
    return path


def picture(path, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene(1, size)).save(path)
    return path


def shown(folder):
    return sorted(path.name for path in folder.glob("[!.]*"))


def test_folders_files_globs_and_pictures(infer, tmp_path):
    clip(tmp_path / "a" / "one.mp4", 3)
    clip(tmp_path / "a" / "two.mp4", 5)
    clip(tmp_path / "b" / "one.mp4", 2)
    picture(tmp_path / "photo.jpg")
    picture(tmp_path / "more" / "x1.png", (40, 40))
    status, out, _ = infer("a", "b/one.mp4", "photo.jpg", "more/x*.png", "--out", "out", "--maps", "npz")
    assert status == 0 and out.count(" frames in ") == 5
    names = ["one", "one-2", "photo", "two", "x1"]
    pictures = [f"{name}_saliency.{'png' if name in ('photo', 'x1') else 'mp4'}" for name in names]
    assert shown(tmp_path / "out") == sorted([*pictures, *(f"{name}_maps.npz" for name in names)])
    for name, frames in (("one", 3), ("two", 5), ("one-2", 2)):
        with open_frames(tmp_path / "out" / f"{name}_saliency.mp4", expected=frames):
            pass
        assert len(np.load(tmp_path / "out" / f"{name}_maps.npz")) == frames


def test_the_maps_are_those_of_each_alone(infer, tmp_path):
    for name, frames in (("one", 3), ("two", 6), ("three", 1)):
        clip(tmp_path / "clips" / f"{name}.mp4", frames)
        assert infer(f"clips/{name}.mp4", "--out", "alone", "--maps", "npy")[0] == 0
    assert infer("clips", "--out", "together", "--maps", "npy")[0] == 0
    found = sorted((tmp_path / "alone").glob("*_maps/*.npy"))
    assert len(found) == 10
    for path in found:
        other = read_density(tmp_path / "together" / path.parent.name / path.name)
        np.testing.assert_allclose(other, read_density(path), atol=1e-6)


def test_a_failed_source_is_told_at_the_end_and_the_others_are_done(infer, tmp_path):
    clip(tmp_path / "in" / "1.mp4", 2)
    (tmp_path / "in" / "2.mp4").write_text("no video " * 50)
    (tmp_path / "in" / "3.mp4").write_bytes(clip(tmp_path / "x.avi", 30).read_bytes()[:-3000])
    clip(tmp_path / "in" / "4.mp4", 2)
    (tmp_path / "out" / "1_saliency.mp4").mkdir(parents=True)  # in the way
    status, out, err = infer("in", "--out", "out")
    assert status == 2 and err == "error: 3 of 4 sources could not be done, see above; the others are in out\n"
    told = out.partition("could not be done: 3 of 4\n")[2].splitlines()
    assert [line.split()[0].rstrip(":") for line in told] == ["in/1.mp4", "in/2.mp4", "in/3.mp4"] or len(told) == 3
    with open_frames(tmp_path / "out" / "4_saliency.mp4", expected=2):
        pass


def test_skip_done_does_what_is_missing_only(infer, tmp_path):
    for name in ("1", "2"):
        clip(tmp_path / "in" / f"{name}.mp4", 2)
    (tmp_path / "in" / "3.mp4").write_text("no video " * 50)
    assert infer("in", "--out", "out")[0] == 2
    before = (tmp_path / "out" / "1_saliency.mp4").stat().st_mtime_ns
    (tmp_path / "out" / "2_saliency.mp4").unlink()
    clip(tmp_path / "in" / "3.mp4", 4)
    status, out, _ = infer("in", "--out", "out", "--skip-done")
    assert status == 0 and "1 of 3 are done already" in out and "1.mp4: " not in out
    assert (tmp_path / "out" / "1_saliency.mp4").stat().st_mtime_ns == before
    assert shown(tmp_path / "out") == ["1_saliency.mp4", "2_saliency.mp4", "3_saliency.mp4"]
    status, out, _ = infer("in", "--out", "out", "--skip-done", "--style", "heat")  # something else is asked for
    assert status == 0 and "already" not in out


def test_out_is_a_file_for_one_source(infer, tmp_path):
    clip(tmp_path / "1.mp4", 2)
    picture(tmp_path / "p.jpg")
    assert infer("1.mp4", "--out", "sub/my.mp4")[0] == 0
    assert infer("p.jpg", "--out", f"file://{tmp_path}/my.png")[0] == 0
    assert (tmp_path / "sub" / "my.mp4").is_file() and (tmp_path / "my.png").is_file()
    assert infer("1.mp4", "--out", f"file://{tmp_path}/a%20folder")[0] == 0
    assert shown(tmp_path / "a folder") == ["1_saliency.mp4"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["1.mp4", "p.jpg", "--out", "my.mp4"], "--out my.mp4: 2 sources need a folder; name a folder"),
        (["1.mp4", "--out", "my.avi"], "--out my.avi: a video is written as .mp4"),
        (["1.mp4", "--out", "s3://bucket/x"], "only folders and file:// addresses are written to"),
        (["1.mp4", "--out", "my.mp4", "--skip-done"], "--skip-done needs a folder"),
        (["1.mp4", "--every", "0"], "--every 0: a number from 1 to 32, or auto"),
        (["1.mp4", "--every", "many"], "--every many: a number from 1 to 32, or auto"),
        (["1.mp4", "--roi", "x=1,2,3,4"], "--roi belongs to --rank here; 'saliency report VIDEO --roi"),
        (["1.mp4", "--rank", "--out", "x.mp4"], "--rank writes rank.csv into a folder"),
        (["1.mp4", "--ensemble"], "give at least two --weights"),
        (["1.mp4", "--workers", "2"], "--workers 2: at least 1, with --engine ray"),
        (["none*.mp4"], "none*.mp4: no file has a name like this"),
        (["empty"], "empty: holds no video and no picture"),
        (["own", "--out", "own"], "own/x.mp4: its output would be own/x_saliency.mp4, a source itself"),
        ([], "name a video or picture first"),
    ],
)
def test_what_is_refused_before_anything_is_done(infer, tmp_path, arguments, message):
    clip(tmp_path / "1.mp4", 2)
    picture(tmp_path / "p.jpg")
    (tmp_path / "empty").mkdir()
    clip(tmp_path / "own" / "x.mp4", 1)
    clip(tmp_path / "own" / "x_saliency.mp4", 1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if not path.name.startswith(".")}
    status, _, err = infer(*arguments)
    assert status == 2 and err.startswith("error: ") and err.count("\n") == 1 and message in err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.name[0] != "."} == before


def test_every_nth_frame_is_said(infer, tmp_path):
    for i in range(10):
        Image.fromarray(scene(i, SIZE)).save(picture(tmp_path / "fast" / f"{i}.png"))
    status, out, _ = infer("fast", "--fps", 60, "--out", "out", "--maps", "npy", "--every", "auto")
    assert status == 0 and "one in 2 predicted" in out
    status, out, _ = infer("fast", "--fps", 60, "--out", "all", "--maps", "npy")  # every frame unless told otherwise
    assert status == 0 and "predicted" not in out
    maps = [
        [read_density(tmp_path / name / "fast_maps" / f"{i:04d}.npy") for i in (1, 2, 3)] for name in ("out", "all")
    ]
    for k in (0, 2):
        np.testing.assert_allclose(maps[0][k], maps[1][k], atol=1e-6)
    np.testing.assert_allclose(maps[0][1], (maps[1][0] + maps[1][2]) / 2, atol=1e-6)


def test_an_ensemble_is_the_mean(infer, weights, tmp_path, capsys):
    clip(tmp_path / "1.mp4", 3)
    other = save(tmp_path / "other.safetensors", 1)
    for name, more in (("a", []), ("both", [other, "--ensemble", "--ensemble-weights", 3, 1])):
        with pytest.raises(SystemExit) as done:
            main(["infer", "1.mp4", "--out", name, "--maps", "npy", "--weights", str(weights), *map(str, more)])
        assert done.value.code == 0
    with pytest.raises(SystemExit):
        main(["infer", "1.mp4", "--out", "b", "--maps", "npy", "--weights", str(other)])
    a, b, both = (read_density(tmp_path / name / "1_maps" / "0003.npy") for name in ("a", "b", "both"))
    np.testing.assert_allclose(both / both.sum(), 0.75 * a / a.sum() + 0.25 * b / b.sum(), rtol=0.02)


def test_a_ranking(infer, tmp_path):
    for name in ("1", "2"):
        clip(tmp_path / "in" / f"{name}.mp4", 3)
    picture(tmp_path / "in" / "p.png")
    status, out, _ = infer("in", "--rank", "--roi", "all=0,0,80,48", "--roi", "left half=0,0,40,48", "--out", "out")
    assert status == 0 and "ranking of 3: out/rank.csv" in out and shown(tmp_path / "out") == ["rank.csv"]
    rows = list(csv.DictReader((tmp_path / "out" / "rank.csv").open()))
    assert {row["file"]: row["frames"] for row in rows} == {"in/1.mp4": "3", "in/2.mp4": "3", "in/p.png": "1"}
    for row in rows:
        assert float(row["all_attention"]) == pytest.approx(1) and float(row["left_half_area"]) == pytest.approx(0.5)
        assert 0 < float(row["spread"]) <= 1 and 0 < float(row["centre_distance"]) < 1
    assert infer(
        "in", "--rank", "--roi", "all=0,0,80,48", "--roi", "left half=0,0,40,48", "--out", "out", "--skip-done"
    )
    assert list(csv.DictReader((tmp_path / "out" / "rank.csv").open())) == rows


def test_what_a_folder_stands_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "v/10.mp4",
        "v/9.MOV",
        "v/p.jpg",
        "v/.hidden.mp4",
        "v/x.partial.mp4",
        "v/notes.txt",
        "i/1.png",
        "i/2.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert list(map(str, find_sources(["v"]))) == ["v/9.MOV", "v/10.mp4", "v/p.jpg"]
    assert list(map(str, find_sources(["i"]))) == ["i"]
    assert list(map(str, find_sources(["."]))) == ["i", "v/9.MOV", "v/10.mp4", "v/p.jpg"]
    assert list(map(str, find_sources(["i/*.png", "i/1.png"]))) == ["i/1.png", "i/2.png"]
    assert list(map(str, find_sources(["**/*.png"]))) == ["i/1.png", "i/2.png"]
