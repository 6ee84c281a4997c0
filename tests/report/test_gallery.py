import base64
import dataclasses
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saliency.data.video import AnnotatedVideo
from saliency.datasets.folder import Folder
from saliency.errors import InputError
from saliency.evaluation.baselines import FixedMap, OneVersusRest
from saliency.evaluation.video_run import evaluate, evaluate_many
from saliency.report.gallery import choose, write_gallery


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[AnnotatedVideo]:
    root = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    (root / "gaze").mkdir()
    for name in ("a", "b<1>"):
        (root / "videos" / name).mkdir(parents=True)
        lines = ["observer,frame,x,y"]
        for i in range(5):
            frame = rng.integers(0, 255, (36, 64, 3), dtype=np.uint8)
            Image.fromarray(frame).save(root / "videos" / name / f"{i + 1:04d}.png")
            if i != 3:  # nobody looks at frame 3
                lines += [f"{k},{i},{rng.uniform(0, 64):.2f},{rng.uniform(0, 36):.2f}" for k in range(4)]
        (root / "gaze" / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return Folder(root=root).videos("test")


RAMP = FixedMap(name="ramp & co", map=torch.linspace(0, 1, 144).view(9, 16))


def test_choice_is_ordered_and_never_repeats(videos):
    result = evaluate(RAMP, videos)
    best, middle, worst = choose(result, 2, "cc")
    scores = [[row.scores["cc"] for row in choice.rows] for choice in (best, middle, worst)]
    values = sorted((v for v in result.values("cc").tolist() if v == v), reverse=True)
    assert scores == [values[:2], values[3:5], values[:-3:-1]]
    assert [len(choice.rows) for choice in choose(result, 10, "cc")] == [8, 0, 0]
    lowest = choose(result, 1, "kld")[0].rows[0]
    assert lowest.scores["kld"] == np.nanmin(result.values("kld"))


def test_page_shows_frames_and_curves(videos, tmp_path):
    result = dataclasses.replace(evaluate(RAMP, videos), dataset="toy")
    path = write_gallery(result, RAMP, videos, tmp_path / "new" / "gallery.html", n=2)
    text = path.read_text()
    assert "ramp &amp; co on toy" in text and "b&lt;1&gt;" in text and "b<1>" not in text
    addresses = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    assert len(addresses) == 6 * 4
    with Image.open(io.BytesIO(base64.b64decode(addresses[0]))) as picture:
        assert picture.size == (64, 36)
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert text.count("<svg") == 2
    assert text.count("<polyline") == 4  # frame 3 leaves a gap in both


def test_single_observers_have_a_gallery_by_nss(videos, tmp_path):
    ceiling = OneVersusRest()
    (result,) = evaluate_many([ceiling], videos)
    with pytest.raises(InputError, match="has no values of 'cc'"):
        write_gallery(result, ceiling, videos, tmp_path / "g.html")
    text = write_gallery(result, ceiling, videos, Path(tmp_path / "g.html"), n=1, metric="nss").read_text()
    assert "ground truth</figcaption>" not in text and "prediction</figcaption>" in text
