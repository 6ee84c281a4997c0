"""Every saliency config trains: its own stages and settings, on small models and the embedded data set."""

from dataclasses import replace
from pathlib import Path

import pytest

from saliency.config.load import load_run, variants
from saliency.config.run import Learner, Run, Stage
from saliency.data.clips import SaliencyClips
from saliency.data.targets import Sampling, Targets
from saliency.datasets.mini import Mini
from saliency.io.serial import decode, encode
from saliency.models.foundation import FoundationConfig
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.training.dry_run import dry_run, with_synthetic_data
from saliency.training.run_folder import best_file
from saliency.training.trainer import train

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
NAMES = [
    f"{path.stem}{variant and ':'}{variant}"
    for path in sorted(CONFIGS.glob("*.py"))
    if path.stem.startswith(("crowdsal", "dhf1k", "hollywood2", "mini"))
    for variant in variants(path) or ("",)
]


def small(learner: Learner) -> Learner:
    """The same class, optimizer and clip rule with little to compute."""
    model = learner.model
    spec = replace(model.input, length=8, size=(32, 64))
    if isinstance(model, TMFINetConfig):
        tiny = replace(model, input=spec, embed_dim=8, depths=(1, 1, 1, 1), heads=(1, 1, 1, 1), window=(2, 2, 2), decoder_channels=16)  # fmt: skip  # noqa: E501
    elif isinstance(model, ViNetSConfig):
        tiny = replace(model, input=spec, width=0.0625)
    elif isinstance(model, FoundationConfig):
        spec = replace(spec, size=(32, 32))
        backbone = replace(model.backbone, width=16, depth=2, heads=1, mlp=1.0, size=32)
        tiny = replace(model, input=spec, backbone=backbone, channels=8)
        factors = tiny.decay(0.75) if tiny.tune == "full" else {}
        optimizer = learner.optimizer and replace(learner.optimizer, lr_factors=factors)
        learner = replace(learner, optimizer=optimizer)
    else:
        assert isinstance(model, ViNetAConfig)
        tiny = replace(model, input=spec, width=0.0625, depths=(1, 1, 1, 1))
    return replace(learner, model=tiny, init="scratch")


def shorten(stage: Stage) -> Stage:
    alone = {name: replace(each, epochs=2, batch_size=2, validate_every=1) for name, each in stage.alone.items()}
    return replace(stage, epochs=min(stage.epochs, 2), alone=alone)


def needs(name: str) -> None:
    if any(isinstance(learner.model, FoundationConfig) for learner in load_run(name).learners.values()):
        pytest.importorskip("transformers", minversion="4.56")
        pytest.importorskip("peft")


def shrink(run: Run, cache: Path) -> Run:
    data = run.data
    assert isinstance(data, SaliencyClips)
    source = Mini(
        train_videos=2, val_videos=1, test_videos=1, min_frames=8, max_frames=8, cache=cache,
        sampling=Sampling(val=Targets(lead=4, step=8)),
    )  # fmt: skip
    return replace(
        run,
        data=SaliencyClips(source=source, grid=(32, 64), cache="memory"),
        learners={name: small(learner) for name, learner in run.learners.items()},
        stages=tuple(shorten(stage) for stage in run.stages),
        train=replace(run.train, batch_size=2, accumulate=1, workers=0, device="cpu", log_every=1),
        report=None,
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_there_are_configs() -> None:
    assert {"dhf1k_tmfi_vinet:published", "dhf1k_tmfi_vinet:paper"} <= set(NAMES) and len(NAMES) >= 13


@pytest.mark.parametrize("name", NAMES)
def test_config_describes_itself(name: str) -> None:
    run = load_run(name)
    assert decode(encode(run)) == run
    assert __doc__


@pytest.mark.parametrize("name", NAMES)
def test_config_trains_two_steps_of_each_stage(name: str, cache: Path, tmp_path: Path) -> None:
    needs(name)
    run = shrink(load_run(name), cache)
    train(run, tmp_path)
    for stage in run.stages:
        for learner in run.learners:
            assert best_file(tmp_path, stage.name, learner).exists()


@pytest.mark.parametrize("name", NAMES)
def test_config_starts_without_its_data(name: str, cache: Path) -> None:
    needs(name)
    run = shrink(load_run(name), cache)
    run = replace(run, data=with_synthetic_data(load_run(name)).data)
    run = replace(run, data=replace(run.data, grid=(32, 64)))
    costs = list(dry_run(run, 1))
    parts = [f"{stage.name}/{learner}" for stage in run.stages for learner in stage.alone]
    parts += [stage.name for stage in run.stages if not stage.alone]
    assert [cost.stage for cost in costs] == parts
    assert all(cost.measured_batch == cost.batch == 2 and cost.hours > 0 for cost in costs)
