"""A laboratory's own folder: scored as it is, with viewers and floor beside the model."""

import json

import pytest

from saliency.commands.evaluate import main
from saliency.errors import InputError


@pytest.mark.usefixtures("mini_like")
def test_a_folder_is_scored_by_its_name_alone(tmp_path, capsys):
    out = tmp_path / "scores"
    assert main(["--data", str(tmp_path / "own"), "--out", str(out), "--every", "2", "--gallery", "1"]) == 0
    told = capsys.readouterr().out
    for name in ("real_gaze", "centre prior", "one observer", "other observers"):
        assert name in told
        assert (out / name.replace(" ", "_") / "summary.json").is_file()
    assert "own test (centre prior of the other videos)" in " ".join(told.split())
    facts = json.loads((out / "centre_prior" / "run.json").read_text())
    assert facts["predictor"]["fitted"] == "for each video on the others"
    page = next(out.glob("real_gaze/*.html")).read_text()
    assert "ground truth" in page and "prediction" in page


@pytest.mark.usefixtures("mini_like")
def test_videos_are_split_by_name(tmp_path, capsys):
    where = ["--data", str(tmp_path / "own"), "--out", str(tmp_path / "scores"), "--every", "9"]
    assert main([*where, "--baselines", "centre-prior", "--splits", "test=1", "train=2"]) == 0
    facts = json.loads((tmp_path / "scores" / "centre_prior" / "run.json").read_text())
    assert facts["videos"] == {"1": 1} and facts["predictor"]["videos"] == 1 and "fitted" not in facts["predictor"]
    with pytest.raises(InputError, match="is in test and in train"):
        main([*where, "--splits", "test=1", "train=*"])
    with pytest.raises(InputError, match="no video called '7'"):
        main([*where, "--splits", "test=7"])
