import json
from xml.etree import ElementTree

import pytest

from saliency.analysis.teacher_share import read_shares
from saliency.errors import InputError


def test_shares_over_the_steps(tmp_path):
    lines = [
        {"stage": "before", "step": 5, "kind": "train", "taught/a": 0.0, "taught/b": 0.0},
        {"stage": "bi_kd", "step": 5, "kind": "train", "taught/a": 0.25, "taught/b": 0.75},
        {"stage": "bi_kd", "step": 5, "kind": "val", "val_top1/a": 0.5},
        {"stage": "bi_kd", "step": 9, "kind": "train", "taught/a": 0.5, "taught/b": 0.5},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (share,) = read_shares(tmp_path / "log.jsonl")
    assert share.stage == "bi_kd"
    assert share.steps == [5, 9]
    assert share.shares == {"a": [0.25, 0.5], "b": [0.75, 0.5]}
    svg = ElementTree.fromstring(share.plot())
    assert len(svg.findall("{http://www.w3.org/2000/svg}polyline")) == 2


def test_a_missing_log_is_named(tmp_path):
    with pytest.raises(InputError, match="train the run first"):
        read_shares(tmp_path / "log.jsonl")
