import json

import numpy as np
import pytest

from saliency.config.run import Learner, Run, Stage
from saliency.errors import InputError
from saliency.report.comparison import Comparison, last_scores, paired
from saliency.testing import ToyData, ToyNetConfig, ToyTask

REPORT = Comparison(before="before", control="task_only", metric="top1")


def run(*stages):
    learners = {"mlp": Learner(model=ToyNetConfig()), "cnn": Learner(model=ToyNetConfig())}
    return Run(
        name="toy",
        task=ToyTask(),
        data=ToyData(),
        learners=learners,
        stages=tuple(Stage(name=stage, epochs=1) for stage in stages),
        report=REPORT,
    )


def write_log(folder, **scores):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [{"stage": "before", "step": 1, "kind": "train", "loss/mlp": 1.0}]
    for stage, (mlp, cnn) in scores.items():
        lines.append({"stage": stage, "step": 1, "kind": "val", "val_top1/mlp": 0.0, "val_loss/mlp": 3.0})
        lines.append({"stage": stage, "step": 2, "kind": "val", "val_top1/mlp": mlp})
        lines.append({"stage": stage, "step": 2, "kind": "val", "val_top1/cnn": cnn})
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_the_last_validation_counts(tmp_path):
    write_log(tmp_path, before=(0.5, 0.6))
    assert last_scores(tmp_path / "log.jsonl", "top1") == {("before", "mlp"): 0.5, ("before", "cnn"): 0.6}


def test_one_seed(tmp_path):
    write_log(tmp_path, before=(0.5, 0.6), task_only=(0.55, 0.6), bi_kd=(0.58, 0.59))
    REPORT(run("before", "task_only", "bi_kd"), tmp_path)
    text = (tmp_path / "comparison.md").read_text()
    assert "| before | 50.00 | 60.00 |" in text
    assert "| task_only | +5.00 | +0.00 |" in text
    assert "| bi_kd | +8.00; +3.00 | -1.00; -1.00 |" in text


def test_several_seeds_are_paired(tmp_path):
    folders = [tmp_path / f"seed-{seed}" for seed in range(3)]
    for folder, shift in zip(folders, (0.0, 0.1, 0.2), strict=True):
        write_log(folder, before=(0.5 + shift, 0.6), task_only=(0.6 + shift, 0.7), bi_kd=(0.61 + shift * 1.1, 0.7))
    REPORT.combine(run("before", "task_only", "bi_kd"), folders, tmp_path)
    found = json.loads((tmp_path / "comparison.json").read_text())
    row = next(r for r in found["rows"] if (r["stage"], r["learner"]) == ("bi_kd", "mlp"))
    assert row["values"] == pytest.approx([61, 72, 83])
    assert row["mean"] == pytest.approx(72)
    assert row["std"] == pytest.approx(np.std([61, 72, 83]))
    assert row["change"] == pytest.approx(12)
    assert row["improved"] == 3
    assert row["against_control"] == pytest.approx({"mean": 2.0, "se": 1 / 3**0.5, "p": 0.0742, "wins": 3}, abs=1e-4)
    assert "| before | 60.00 ± 8.16 | 60.00 ± 0.00 |" in (tmp_path / "comparison.md").read_text()


def test_a_paired_test_equals_scipys():
    from scipy.stats import ttest_rel

    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 10))
    found = paired(a - b)
    assert found["p"] == pytest.approx(ttest_rel(a, b).pvalue)
    assert paired(np.array([1.0])) == {"mean": 1.0, "se": None, "p": None, "wins": 1}
    assert paired(np.array([1.0, 1.0]))["p"] is None


def test_a_stage_that_did_not_finish_is_shown_as_such(tmp_path):
    write_log(tmp_path, before=(0.5, 0.6), task_only=(0.6, 0.7))
    REPORT(run("before", "task_only", "bi_kd"), tmp_path)
    assert "bi_kd" not in (tmp_path / "comparison.json").read_text()


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match="needs a stage called 'task_only'; the run has: before"):
        REPORT(run("before"), tmp_path)
    with pytest.raises(InputError, match="train the run first"):
        REPORT(run("before", "task_only"), tmp_path)
    write_log(tmp_path)
    with pytest.raises(InputError, match="no validation of 'top1'"):
        REPORT(run("before", "task_only"), tmp_path)
