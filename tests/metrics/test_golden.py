"""All metrics against values from slow exact code and from the field's implementations."""

import math

import pytest
import torch

from saliency.metrics.frame import METRICS, score

AUCS = ("auc", "auc_judd", "auc_borji", "auc_shuffled", "auc_shuffled_step")


def number(value) -> float:
    """A stored value; names of errors and of complex results are no numbers."""
    return float(value) if isinstance(value, float) or value == "NaN" else math.nan


def test_inputs_are_those_of_the_golden_values(golden):
    assert not golden.drifted, f"{golden.name}: {golden.drifted} changed, so the golden values do not apply"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_canonical_values(golden, dtype):
    arguments = golden.arguments(dtype)
    found = score(**arguments, names=METRICS)
    assert set(golden.values["canonical"]) <= set(METRICS)
    for name, expected in golden.values["canonical"].items():
        tolerance = 2e-5 if dtype == torch.float32 else 1e-12 if name in AUCS else 1e-9
        assert found[name].shape == (1,)
        assert found[name].dtype == torch.float64
        assert found[name].item() == pytest.approx(number(expected), rel=0, abs=tolerance, nan_ok=True), name


def test_batch_gives_each_frame_its_own_value(golden_named):
    """Degenerate frames beside ordinary ones, as a batch."""
    names = [
        "smooth_90x160_s0",
        "zero_pred_90x160",
        "nan_one_pixel_90x160",
        "single_fixation_90x160",
        "empty_frame_90x160",
        "constant_both_90x160",
        "no_other_90x160",
        "negative_logits_90x160",
    ]
    cases = [golden_named(name) for name in names]
    arguments = [case.arguments(torch.float64) for case in cases]
    batch = {key: torch.stack([a[key] for a in arguments]) for key in arguments[0]}
    found = score(**batch, names=METRICS)
    for name in cases[0].values["canonical"]:
        expected = [number(case.values["canonical"][name]) for case in cases]
        assert found[name].tolist() == pytest.approx(expected, rel=0, abs=1e-9, nan_ok=True), name


# How far other implementations are from the canonical values, on cases where they are defined at all.
DEFINED = [
    *(f"smooth_{size}_s{seed}" for size in ("36x64", "90x160", "360x640") for seed in range(3)),
    *("centre_prior_90x160", "noise_90x160", "few_fix_360x640", "scaled256_90x160", "offset_floor_90x160"),
    *("uint8_36x64", "uint8_90x160", "uint8_360x640", "two_fixations_90x160", "border_fixations_90x160"),
]
REFERENCES = {
    "pysaliency": {
        "cc": 1e-12,
        "sim_sum": 1e-12,
        "kld": 1e-12,
        "auc": 1e-12,
        "auc_borji": 1e-12,
        "auc_shuffled": 1e-12,
        "information_gain": 1e-9,
    },
    "dhf1k_octave": {  # the official DHF1K code run in GNU Octave
        "cc": 1e-11,
        "nss": 1e-11,
        "sim": 1e-11,
        "kld": 3e-5,  # eps is 2**-52 there, 2.2204e-16 here
        "auc_judd": 2e-4,  # mean of 10 draws of its jitter
        "auc_shuffled_step": 1e-2,  # mean of 2000 draws of its negatives
    },
}


@pytest.mark.parametrize("name", DEFINED)
@pytest.mark.parametrize("source", REFERENCES)
def test_agrees_with_published_implementations(golden_named, source, name):
    case = golden_named(name)
    found = score(**case.arguments(torch.float64), names=REFERENCES[source])
    for metric, tolerance in REFERENCES[source].items():
        expected = number(case.values[source][metric])
        assert found[metric].item() == pytest.approx(expected, rel=0, abs=tolerance), metric


@pytest.mark.parametrize("name", DEFINED)
def test_nss_differs_from_pysaliency_by_the_documented_factor(golden_named, name):
    case = golden_named(name)
    pixels = case.arrays["density"].size
    ours = score(**case.arguments(torch.float64), names=["nss"])["nss"].item()
    assert ours * math.sqrt(pixels / (pixels - 1)) == pytest.approx(case.values["pysaliency"]["nss"], abs=1e-12)
