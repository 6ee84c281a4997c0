import math

import pytest

from saliency.errors import InputError
from saliency.evaluation import parquet
from saliency.evaluation.baselines import chance
from saliency.evaluation.video_run import evaluate


def test_frames_come_back(gaze_video, tmp_path):
    stored = pytest.importorskip("pyarrow.parquet")
    result = evaluate(chance(), [gaze_video("001", blank=(2,)), gaze_video("002")])
    path = parquet.write(result, tmp_path)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["frames.parquet"]
    lines = stored.read_table(path).to_pylist()
    assert len(lines) == len(result.rows) == 12
    for line, row in zip(lines, result.rows, strict=True):
        assert (line["video"], line["frame"], line["truth"]) == (row.video, row.frame, row.truth)
        for metric, value in row.scores.items():
            assert line[metric] is None if math.isnan(value) else line[metric] == value
        assert {flag: line[flag] for flag in row.flags} == dict(row.flags)
    assert lines[2]["nss"] is None


def test_without_pyarrow_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(parquet, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'video-saliency\[parquet\]'$"):
        parquet.require()
