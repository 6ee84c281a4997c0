"""Clips and target frames against index lists recorded from the published data loaders."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliency.data import targets
from saliency.data.targets import Targets
from saliency.datasets.dhf1k import DHF1K
from saliency.datasets.hollywood2 import Hollywood2
from saliency.types import InputSpec

GOLDEN = json.loads((Path(__file__).parents[1] / "data/datasets/clip_indices.json").read_text())
CAUSAL = InputSpec()
VINET_A = InputSpec(stride=2, target="middle", shift=1)
RULES = {
    "causal32": CAUSAL,
    "center64_odd": VINET_A,
    "center64_even": DHF1K(clip_sampling="official").view(VINET_A),
    "center32_dense": Hollywood2(clip_sampling="official").view(VINET_A),
}


@pytest.mark.parametrize("rule", RULES)
def test_clips(rule):
    compared = 0
    for n, clips in GOLDEN["examples"][rule].items():
        for t, frames in clips.items():
            assert RULES[rule].frames(int(t), int(n)) == frames, (n, t)
            compared += 1
    assert compared >= 150


def recorded(name: str) -> dict[int, list]:
    """One table: number of frames -> what was recorded."""
    return {int(n): value for n, value in GOLDEN["target_sampling"][name].items()}


RANDINT = {
    "BiKD/DHF1K/train: randint [lo,hi) of target": targets.BI_KD_DHF1K,
    "BiKD/Hollywood2/train: randint [lo,hi) of target (error when hi<=lo)": targets.BI_KD_HOLLYWOOD2,
    "vinet_v2/ViNet_A/DHF1K/train (len_snippet 64): randint [lo,hi) of target": targets.VINET_A_DHF1K,
    "vinet_v2/ViNet_A/Hollywood2/train (len_snippet 64): randint [lo,hi) of target": targets.VINET_A_HOLLYWOOD2,
}
STARTS = {
    "vinet_v2/ViNet_S/DHF1K/train: lowest and highest start": targets.VINET_S_DHF1K,
    "vinet_v2/ViNet_S/Hollywood2/train: lowest and highest start": targets.VINET_S_HOLLYWOOD2,
    "vinet_v2/ViNet_S/UCF/train: lowest and highest start": targets.VINET_S_UCF_SPORTS,
    "TMFI-Net/DHF1K/train: lowest and highest start": targets.TMFI_NET_DHF1K,
    "TMFI-Net/Hollywood_UCF/train: lowest and highest start": targets.TMFI_NET_HOLLYWOOD2,
}
VAL = {
    "BiKD/DHF1K/val: targets": targets.BI_KD_DHF1K,
    "BiKD/Hollywood2/val: targets": targets.BI_KD_HOLLYWOOD2,
    "vinet_v2/ViNet_A/DHF1K/val (len_snippet 64): targets": targets.VINET_A_DHF1K,
    "vinet_v2/ViNet_A/Hollywood2/val (len_snippet 64): targets": targets.VINET_A_HOLLYWOOD2,
    "vinet_v2/ViNet_S/DHF1K/val: targets (start+31)": targets.VINET_S_DHF1K,
    "vinet_v2/ViNet_S/Hollywood2/val: targets (start+31)": targets.VINET_S_HOLLYWOOD2,
    "vinet_v2/ViNet_S/UCF/val: targets (start+31)": targets.VINET_S_UCF_SPORTS,
    "TMFI-Net/DHF1K/val: targets (start+31)": targets.TMFI_NET_DHF1K,
    "TMFI-Net/Hollywood_UCF/val: targets (start+31)": targets.TMFI_NET_HOLLYWOOD2,
}


@pytest.mark.parametrize("table", RANDINT)
def test_training_targets(table):
    for n, (low, high) in recorded(table).items():
        assert list(RANDINT[table].train.of(n)) == list(range(low, high)), n


@pytest.mark.parametrize("table", STARTS)
def test_training_targets_of_full_windows(table):
    for n, ends in recorded(table).items():
        drawn = STARTS[table].train.of(n)
        if ends == ["ValueError: low >= high"]:
            assert not drawn, n
        else:
            assert (drawn[0], drawn[-1]) == (ends[0]["target"], ends[1]["target"]), n


@pytest.mark.parametrize("table", VAL)
def test_validation_targets(table):
    for n, frames in recorded(table).items():
        assert list(VAL[table].val.of(n)) == frames, n


def test_every_recorded_table_is_compared():
    tests = {name for name in GOLDEN["target_sampling"] if "/test:" in name}  # "all 0..n-1"
    assert {*RANDINT, *STARTS, *VAL, *tests} == set(GOLDEN["target_sampling"])


specs = st.builds(
    InputSpec,
    length=st.integers(1, 40),
    stride=st.integers(1, 4),
    target=st.sampled_from(["last", "middle"]),
    shift=st.integers(-3, 3),
)


@given(spec=specs, n=st.integers(1, 300), data=st.data())
def test_a_clip_stays_in_the_video_and_in_order(spec, n, data):
    t = data.draw(st.integers(0, n - 1))
    frames = spec.frames(t, n)
    assert len(frames) == spec.length
    assert all(0 <= i < n for i in frames)
    assert frames == sorted(frames)
    if spec.target == "last" and spec.shift == 0:
        assert frames[-1] == t
    # far from the ends nothing is clamped
    if t + spec.offsets[0] >= 0 and t + spec.offsets[-1] < n:
        assert frames == [t + o for o in spec.offsets]


@given(
    rule=st.builds(
        Targets,
        lead=st.integers(0, 40),
        tail=st.integers(0, 40),
        step=st.integers(1, 50),
        short=st.sampled_from(["none", "last", "middle"]),
    ),
    n=st.integers(1, 300),
)
def test_targets_are_frames_of_the_video(rule, n):
    frames = rule.of(n)
    assert all(0 <= t < n for t in frames)
    assert len(frames) or rule.short == "none"
