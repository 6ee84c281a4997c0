"""What the published settings say, and what every transfer has beside it."""

from dataclasses import replace
from pathlib import Path

import pytest

from saliency.config.load import load_run, variants
from saliency.config.run import Run
from saliency.datasets.image_folder import Augmentation, ImageFolder
from saliency.distillation.control import TaskOnly
from saliency.recipes.classification import PAIRS, SEVERAL
from saliency.report.published import published_tables
from saliency.tasks.classification import ClassificationTask

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.py"))
NEEDS = {"imagenet": "timm", "ade20k": "transformers", "shapes": "transformers"}
VIDEOS = ("crowdsal", "dhf1k", "hollywood2", "mini", "folder")
TESTED = (*VIDEOS, "imagenet", "digits", "ade20k", "shapes", "real", "teaching")
"""First words of the names that other tests train: real_gaze in tests/datasets, teaching in tests/report, folder beside
this file."""


RUNS = [f"{path.stem}{variant and ':'}{variant}" for path in CONFIGS for variant in variants(path) or ("",)]


def load(name: str) -> Run:
    if package := NEEDS.get(name.split("_")[0]):
        pytest.importorskip(package)
    return load_run(name)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_no_config_is_left_out(path):
    assert path.stem.split("_")[0] in TESTED, "add the config to one of the tests of this folder"


@pytest.mark.parametrize("name", RUNS)
def test_every_transfer_has_its_control(name):
    """The same further training without transfer: as long, from the same weights, at the same rate."""
    stages = load(name).stages
    controls = [stage for stage in stages if isinstance(stage.distiller, TaskOnly) and stage.start]
    for stage in stages:
        if not isinstance(stage.distiller, TaskOnly):
            wanted = (stage.start, stage.epochs, stage.lr, stage.lr_factor)
            assert wanted in [(c.start, c.epochs, c.lr, c.lr_factor) for c in controls], stage.name


@pytest.mark.parametrize("name", [name for name in RUNS if name.startswith("imagenet")])
def test_imagenet_settings(name):
    run = load(name)
    vit = name.partition(":")[2] in ("vit_b_vit_s", "vit_s_vit_t", "vit_b_vit_t")
    assert run.task == ClassificationTask(label_smoothing=0.1 if vit else 0.0)
    assert isinstance(run.data, ImageFolder)
    assert run.data.augmentation == (Augmentation() if vit else None)
    for learner in run.learners.values():
        assert learner.optimizer is not None
        assert learner.optimizer.schedule == ("cosine" if vit else "constant")
        assert learner.optimizer.warmup_steps == 0  # timm's would begin at ten times the final rate
    assert run.train.precision == "fp32"


def test_timms_default_augmentation():
    default = Augmentation()
    assert default.area == (0.08, 1.0)
    assert default.ratio == (3 / 4, 4 / 3)
    assert (default.flip, default.jitter) == (0.5, 0.4)


TRANSFERS = [name for name in RUNS if name.startswith(("dhf1k_tmfi_vinet", "hollywood2_tmfi_vinet"))]


@pytest.mark.parametrize("name", TRANSFERS)
def test_video_transfer_settings(name):
    """The published code's unless the paper's are asked for: 20 epochs of batch 128 are 80 steps at 1e-6."""
    run = load(name)
    paper = name.endswith(":paper")
    assert run.train.batch_size == (128 if paper else 4)
    assert run.train.batch_size // run.train.accumulate == 4
    transfers = [stage for stage in run.stages if stage.start]
    assert {stage.epochs for stage in transfers} == {20 if paper else 100}
    assert {(stage.lr, stage.weight_decay) for stage in transfers} == {(1e-6, 1e-5)}


def test_the_main_config_trains_each_model_as_the_model_s_own_config_does():
    run = load("dhf1k_tmfi_vinet")
    (first, *_) = run.stages
    assert [(a.epochs, a.batch_size) for a in first.alone.values()] == [(300, 1), (120, 8), (150, 6)]
    singles = {"tmfi_net": "dhf1k_tmfi", "vinet_s": "dhf1k_vinet_s", "vinet_a": "dhf1k_vinet_a"}
    for learner, config in singles.items():
        single, part = load(config), run.part(first, learner)
        assert (part.learners, part.task, part.train) == (single.learners, single.task, single.train)
        assert part.data == replace(single.data, alone=run.data.alone)
        assert (first.alone[learner].epochs,) == tuple(stage.epochs for stage in single.stages)


def test_the_paper_s_pairs():
    assert variants("imagenet_bi_kd") == tuple("_".join(names) for names in (*PAIRS, *SEVERAL))
    published = {row.run for table in published_tables("imagenet") for row in table.rows if row.run}
    assert published == {load(f"imagenet_bi_kd:{variant}").name for variant in variants("imagenet_bi_kd")}
    for table in published_tables("imagenet"):
        for row in table.rows:
            if row.run:
                assert row.learner in load(f"imagenet_bi_kd:{row.run.removeprefix('imagenet_')}").learners
    names = [stage.name for stage in load("imagenet_columns:vit_s_vit_t").stages]
    assert names == ["before", "control", "kl", "kl_dp", "kl_dp_supervised", "dml", "bi_kd"]


class TestTable1:
    """The models of the paper's image classification."""

    @pytest.fixture(autouse=True)
    def timm(self):
        pytest.importorskip("timm")

    @pytest.mark.parametrize(
        ("name", "size", "crop", "mean"),
        [
            ("senet154", 224, 0.875, 0.485),
            ("swsl_resnext101", 224, 0.875, 0.485),
            ("mae", 224, 0.9, 0.485),
            ("vit_b", 224, 0.9, 0.5),
            ("vit_s", 224, 0.9, 0.5),
            ("vit_t", 224, 0.9, 0.5),
            ("pit_b", 224, 0.9, 0.485),
            ("pit_xs", 224, 0.9, 0.485),
            ("resmlp_36", 224, 0.875, 0.485),
            ("resmlp_24_dist", 224, 0.875, 0.485),
            ("coat_lite_mini", 224, 0.9, 0.485),
            ("dinov2", 224, 0.875, 0.485),
            ("mambavision_t2", 224, 0.98, 0.485),
        ],
    )
    def test_every_model_has_its_own_input(self, name, size, crop, mean):
        from saliency.recipes import classification

        spec = getattr(classification, name)().model.input
        assert (spec.size, spec.crop, spec.mean[0]) == ((size, size), crop, mean)

    def test_mae_drops_paths(self):
        from saliency.recipes.classification import mae

        model = mae().model
        assert (model.drop_path, model.global_pool) == (0.1, "avg")

    def test_one_input_for_all_if_asked(self):
        """As the published scripts have it; the paper's Table 1 was measured so."""
        from saliency.recipes.classification import SHARED_INPUT, coat_lite_mini, pit_b, transfer, vit_t

        learners = {"coat": coat_lite_mini(), "pit": pit_b(), "vit": vit_t()}
        shared = transfer("shared", learners, preprocessing="shared")
        assert all(learner.model.input == SHARED_INPUT for learner in shared.learners.values())
        assert (SHARED_INPUT.size, SHARED_INPUT.crop, SHARED_INPUT.interpolation) == ((224, 224), 0.875, "bilinear")
        native = transfer("native", learners)
        assert {n: x.model.input for n, x in native.learners.items()} == {n: x.model.input for n, x in learners.items()}
