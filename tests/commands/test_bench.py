"""`saliency bench` as a user runs it: a line for each way, a recommendation, and bad input in one line."""

import numpy as np
import pytest
import torch

from saliency.commands.bench import read
from saliency.commands.main import main
from saliency.inference import ways
from saliency.inference.backends.base import Compute
from saliency.inference.ways import Measured, best
from saliency.io.weights import save_model
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import InputSpec


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    config = ViNetSConfig(input=InputSpec(length=8, size=(32, 64)), width=0.125)
    save_model(tmp_path / "tiny.safetensors", config.build(), config)
    return tmp_path / "tiny.safetensors"


def bench(capsys, *arguments):
    with pytest.raises(SystemExit) as done:
        main(["bench", *map(str, arguments)])
    return done.value.code, *capsys.readouterr()


def test_a_table_and_a_recommendation(weights, capsys, monkeypatch):
    half = "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "fp32"
    chosen = [Compute(), Compute(precision=half)]
    monkeypatch.setattr(ways, "ways", lambda device: chosen)
    status, out, err = bench(capsys, "--weights", weights, "--frames", 6, "--seconds", 0.01, "--device", "cpu")
    assert status == 0, err
    rows = [line.split() for line in out.splitlines() if line.strip().startswith("tiny ")]
    assert [row[1:3] for row in rows] == [["torch", "fp32"], ["torch", half]]
    assert rows[0][-2:] == ["1.00000", "0.0e+00"] and 0.99 < float(rows[1][-2]) <= 1
    assert "tiny: take --backend torch --precision" in out


def test_without_a_video_a_scene_is_rendered():
    frames = read(None, 5)
    assert frames.shape == (5, 360, 640, 3) and frames.dtype == np.uint8
    assert np.abs(frames[0].astype(int) - frames[4]).max() > 20  # something moves


def test_the_fastest_that_is_as_good_as_exact():
    def one(rate, cc, precision="bf16"):
        compute = Compute(precision=precision)
        return Measured(model="m", compute=compute, rate=rate, cpu=0, ready=0, memory=0, cc=cc, difference=0)

    exact = [one(1, 1.0, "fp32"), one(2, 1.0, "fp32")]
    assert best([*exact, one(3, 0.9995), one(9, 0.99)]).rate == 3
    assert best([*exact, one(2.3, 0.9995)]).rate == 2  # not worth it


def test_bad_input_is_one_line(capsys, tmp_path):
    for arguments, said in (
        (("--frames", 0), "--frames must be above 0"),
        (("--threads", -1), "--threads must be above 0"),
        ((tmp_path / "none.mp4",), "no such file"),
    ):
        status, _, err = bench(capsys, *arguments)
        assert status == 2 and said in err and err.count("\n") == 1
