"""The card of the default model: complete, in the file, and in agreement with the page and the weights."""

import os
from pathlib import Path

import pytest
import torch

from saliency.data.trained_on import trained_on
from saliency.datasets.stills import Stills
from saliency.errors import InputError
from saliency.evaluation.baselines import ModelPredictor
from saliency.evaluation.dataset_run import evaluate_dataset
from saliency.inference.card import KEY, card_of, score_table
from saliency.inference.engine import Engine
from saliency.inference.zoo import resolve
from saliency.io.weights import load_model

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("SALIENCY_DATA", "/nowhere")) / "real_gaze"


def test_the_default_model_has_a_card_that_agrees_with_the_page() -> None:
    loaded = load_model(resolve())
    card = card_of(loaded.metadata)
    assert card is not None and card.name == "real_gaze"
    page = (ROOT / "benchmarks/results/real-gaze.md").read_text()
    assert score_table(card.scores) in page
    assert {each.name: each.photographs for each in card.learned_from} == {"osie": 560, "crowd": 400, "scene": 400}
    notices = resolve().with_suffix(".md").read_text()
    for each in card.learned_from:
        assert f"{each.fixations:,} fixations" in page
    assert notices.count("Permission is hereby granted, free of charge") == 3
    assert len(trained_on(loaded.metadata)) == sum(each.photographs for each in card.learned_from)
    assert "appearance" in card.about and card.not_for and card.good_for


def test_it_is_better_than_what_looks_at_no_picture() -> None:
    card = card_of(load_model(resolve()).metadata)
    assert card is not None
    nss = {(score.data, score.predictor): score.values["nss"] for score in card.scores}
    for name in ("osie", "crowd", "scene"):
        ours = nss[f"{name} val", "default model"]
        others = ("chance", "centre prior", f"mean map of {name}", "spectral residual", "simulated-data model")
        assert all(ours > nss[f"{name} val", other] for other in others)


def test_a_map_of_the_default_model_is_a_density_in_the_videos_shape() -> None:
    loaded = load_model(resolve())
    assert loaded.config.input.keep_shape
    assert loaded.config.input.fitted((480, 640)).size == (224, 288)
    assert loaded.config.input.fitted((1920, 1080)).size == (336, 192)  # portrait stays portrait
    with torch.no_grad():
        maps = loaded.model(torch.zeros(1, 3, 1, 336, 192))
    assert maps.shape == (1, 336, 192) and maps.sum().item() == pytest.approx(1, abs=1e-4)


def test_weights_without_a_card_have_none_and_a_damaged_one_is_refused() -> None:
    assert card_of({}) is None
    with pytest.raises(InputError, match=r"mine: its card cannot be read"):
        card_of({KEY: "{}"}, "mine")


@pytest.mark.skipif(not REAL.is_dir(), reason="SALIENCY_DATA names no folder with real_gaze")
def test_a_line_of_the_table_comes_from_the_weights(tmp_path: Path) -> None:
    loaded = load_model(resolve())
    card = card_of(loaded.metadata)
    assert card is not None
    expected = next(s for s in card.scores if (s.data, s.predictor) == ("scene val", "default model"))
    model = ModelPredictor(name="default model", engine=Engine(loaded.model, loaded.config.input))
    results = evaluate_dataset([model], Stills(name="scene").videos("val"), tmp_path)
    assert results is not None
    for metric in ("cc", "nss", "kld", "sim"):
        assert results[0].summary()[metric].mean == pytest.approx(expected.values[metric], abs=2e-3)
