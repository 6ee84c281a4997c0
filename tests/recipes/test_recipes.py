"""What the published settings say, and what every transfer has beside it."""

from pathlib import Path

import pytest

from saliency.config.load import load_run
from saliency.config.run import Run
from saliency.datasets.image_folder import Augmentation, ImageFolder
from saliency.distillation.control import TaskOnly
from saliency.tasks.classification import ClassificationTask

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.py"))
NEEDS = {"imagenet": "timm", "ade20k": "transformers", "shapes": "transformers"}
TESTED = ("dhf1k", "hollywood2", "mini", "imagenet", "digits", "ade20k", "shapes")
"""First words of the names that the other files of this folder train for two steps."""


def load(path: Path) -> Run:
    if package := NEEDS.get(path.stem.split("_")[0]):
        pytest.importorskip(package)
    return load_run(path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_no_config_is_left_out(path):
    assert path.stem.split("_")[0] in TESTED, "add the config to one of the tests of this folder"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_transfer_has_its_control(path):
    """The same further training without transfer: as long, from the same weights, at the same rate."""
    stages = load(path).stages
    controls = [stage for stage in stages if isinstance(stage.distiller, TaskOnly) and stage.start]
    for stage in stages:
        if not isinstance(stage.distiller, TaskOnly):
            wanted = (stage.start, stage.epochs, stage.lr, stage.lr_factor)
            assert wanted in [(c.start, c.epochs, c.lr, c.lr_factor) for c in controls], stage.name


@pytest.mark.parametrize("path", [p for p in CONFIGS if p.stem.startswith("imagenet")], ids=lambda path: path.stem)
def test_imagenet_settings(path):
    run = load(path)
    vit = path.stem in ("imagenet_vit_s_vit_t", "imagenet_vit_b_vit_t")
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


TRANSFERS = [p for p in CONFIGS if p.stem.startswith(("dhf1k_tmfi_vinet", "hollywood2_tmfi_vinet"))]


@pytest.mark.parametrize("path", TRANSFERS, ids=lambda path: path.stem)
def test_video_transfer_settings(path):
    """The published code's, not the paper's 20 epochs of batch 128: that would be 94 steps at 1e-6."""
    run = load(path)
    assert run.train.batch_size == 4
    transfers = [stage for stage in run.stages if stage.start]
    assert {stage.epochs for stage in transfers} == {100}
    assert {(stage.lr, stage.weight_decay) for stage in transfers} == {(1e-6, 1e-5)}


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
