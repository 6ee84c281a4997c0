"""`saliency report` as a user runs it."""

import av
import numpy as np
import pytest
import torch

from saliency.commands.main import main
from saliency.io.weights import save_model
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import InputSpec

SIZE = (48, 80)


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Two tiny untrained models."""
    folder = tmp_path_factory.mktemp("weights")
    for seed in (0, 1):
        torch.manual_seed(seed)
        config = ViNetSConfig(input=InputSpec(length=8, size=(32, 64)), width=0.125)
        save_model(folder / f"tiny{seed}.safetensors", config.build(), config)
    return [str(folder / f"tiny{seed}.safetensors") for seed in (0, 1)]


@pytest.fixture
def clip(tmp_path):
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for i in range(6):
            frame = np.full((*SIZE, 3), 40 * i, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())
    return str(tmp_path / "clip.mp4")


@pytest.fixture
def report(tmp_path, capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as done:
            main(["report", *arguments, "--out", str(tmp_path / "out"), "--device", "cpu"])
        said = capsys.readouterr()
        return done.value.code, said.out, said.err

    return call


def test_a_report(report, clip, weights, tmp_path):
    status, out, err = report(
        *(clip, "--weights", weights[0], "--roi", "logo=0,0,40,48", "--roi", "b=0,0:80,0:80,48", "--crop", "1:1"),
        *("--thumbnails", "2"),
    )
    assert (status, err) == (0, "")
    assert "model: tiny0 (sha256" in out
    assert "logo: " in out and "on 50.0 % of the picture" in out
    assert "crop: keeps " in out
    assert out.splitlines()[-1] == f"report: {tmp_path / 'out' / 'report.html'}"
    names = {"crop.mp4", "frames.csv", "overlay.mp4", "report.html", "thumb_1.png", "thumb_2.png"}
    assert {p.name for p in (tmp_path / "out").iterdir()} == names


def test_an_ensemble(report, clip, weights, tmp_path):
    status, out, _ = report(clip, "--weights", *weights, "--ensemble", "--ensemble-weights", "1", "3")
    assert status == 0
    assert "tiny0" in out and "tiny1" in out
    assert "tiny0 + tiny1" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--roi", "logo=1,2,3"], "error: --roi logo=1,2,3: a region is written"),
        (["--crop", "tall"], "error: --crop tall: a shape is written WIDTH:HEIGHT"),
        (["--thumbnails", "-2"], "error: --thumbnails must lie between 0 and 50"),
        (["--ensemble"], "error: --ensemble averages several models"),
        (["--batch-size", "0"], "error: --batch-size must be at least 1"),
        (["--opacity", "2"], "error: --opacity must lie between 0 and 1"),
        (["--colours", "viridi"], "did you mean 'viridis'"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(report, clip, weights, tmp_path, arguments, message):
    status, _, err = report(clip, "--weights", weights[0], *arguments)
    assert status == 2
    assert message in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_more_bad_input(report, clip, weights):
    status, _, err = report(clip, "--weights", *weights)
    assert status == 2 and "add --ensemble" in err
    status, _, err = report(clip, "--weights", *weights, "--ensemble", "--ensemble-weights", "1")
    assert status == 2 and "one number for each of the 2 --weights" in err
    status, _, err = report("none.mp4")
    assert status == 2 and "none.mp4: no such file or folder" in err
    status, _, err = report()
    assert status == 2 and "name a film: saliency report ad.mp4" in err
