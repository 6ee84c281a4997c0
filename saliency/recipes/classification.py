"""The published settings of knowledge transfer between ImageNet classifiers, and runs made of them.

Sources, read in November 2026: [P] the Bi-KD paper (TMLR 2025), section 4; [K] Syd-J/Bi-KD, src/models.py and
src/train_{bi,tri,quad}_kd.py; [T] timm's train.py, whose defaults [P] names for the ViTs.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.datasets.image_folder import Augmentation, ImageFolder
from saliency.distillation.base import Distiller
from saliency.distillation.bi_kd import BiKD
from saliency.distillation.dml import DML
from saliency.distillation.each import Each
from saliency.distillation.kd import KD
from saliency.distillation.kl_dp import KLDP
from saliency.models.dinov2_linear import DINOv2LinearConfig
from saliency.models.mambavision import MambaVisionConfig
from saliency.models.timm_classifier import TimmConfig
from saliency.report.comparison import Comparison
from saliency.tasks.classification import ClassificationTask
from saliency.types import ImageSpec, ModelConfig

Preprocessing = Literal["native", "shared"]

EPOCHS = 20  # [P]

SHARED_INPUT = ImageSpec(size=(224, 224), crop=0.875, interpolation="bilinear")
"""What [K] feeds every model, whatever it was trained with; the accuracies in the paper's Table 1 match it."""


def senet154() -> Learner:
    """SENet-154, from the Gluon model zoo [K]."""
    return _timm("senet154.gluon_in1k")


def swsl_resnext101() -> Learner:
    """ResNeXt-101 32x8d, semi-weakly supervised [K]."""
    return _timm("resnext101_32x8d.fb_swsl_ig1b_ft_in1k")


def mae(weights: str = "weights/mae_finetuned_vit_base.pth") -> Learner:
    """ViT-B, pretrained by MAE and fine-tuned.

    timm has only the pretrained half; the fine-tuned weights are the authors' file
    dl.fbaipublicfiles.com/mae/finetune/mae_finetuned_vit_base.pth. Drop path 0.1 is active in training [K].
    """
    model = TimmConfig(name="vit_base_patch16_224", input=_native("vit_base_patch16_224.mae"), drop_path=0.1)
    return Learner(model=replace(model, global_pool="avg"), init=weights)


def vit_b() -> Learner:
    """ViT-B/16 with the augreg recipe, ImageNet-1k only: matches the 79.15 of Table 1."""
    return _timm("vit_base_patch16_224.augreg_in1k")


def vit_s() -> Learner:
    """ViT-S/16 with the augreg recipe, ImageNet-1k only: matches the 78.84 of Table 1."""
    return _timm("vit_small_patch16_224.augreg_in1k")


def vit_t() -> Learner:
    """ViT-T/16 with the augreg recipe, from ImageNet-21k: matches the 75.47 of Table 1."""
    return _timm("vit_tiny_patch16_224.augreg_in21k_ft_in1k")


def pit_b() -> Learner:
    """PiT-B [K]."""
    return _timm("pit_b_224.in1k")


def pit_xs() -> Learner:
    """PiT-XS [K]."""
    return _timm("pit_xs_224.in1k")


def resmlp_36() -> Learner:
    """ResMLP-36 [K]."""
    return _timm("resmlp_36_224.fb_in1k")


def resmlp_24_dist() -> Learner:
    """ResMLP-24, trained by distillation [K]."""
    return _timm("resmlp_24_224.fb_distilled_in1k")


def coat_lite_mini() -> Learner:
    """CoaT-Lite Mini [K]."""
    return _timm("coat_lite_mini.in1k")


def dinov2() -> Learner:
    """DINOv2 ViT-S/14 with the published linear head; all of it is trained [K]."""
    return Learner(model=DINOv2LinearConfig(), init="hub")


def mambavision_t2() -> Learner:
    """MambaVision-T2; its own code must be allowed to run first (``trust_remote_code``)."""
    return Learner(model=MambaVisionConfig(), init="hub")


MODELS = {
    "dinov2": dinov2,
    "mae": mae,
    "pit_b": pit_b,
    "swsl": swsl_resnext101,
    "mambavision": mambavision_t2,
    "coat": coat_lite_mini,
    "senet154": senet154,
    "pit_xs": pit_xs,
    "resmlp_36": resmlp_36,
    "resmlp": resmlp_24_dist,
    "vit_b": vit_b,
    "vit_s": vit_s,
    "vit_t": vit_t,
}
"""Name of a learner in the runs -> how it is made; the 13 models of Table 1."""

PAIRS = (
    ("dinov2", "mae"),
    ("pit_b", "swsl"),
    ("dinov2", "mambavision"),
    ("dinov2", "swsl"),
    ("coat", "senet154"),
    ("coat", "dinov2"),
    ("pit_xs", "resmlp_36"),
    ("coat", "pit_xs"),
    ("vit_b", "vit_s"),
    ("vit_b", "vit_t"),
    ("vit_s", "vit_t"),
)
"""Tables 2 and 3."""

SEVERAL = (("coat", "pit_xs", "resmlp"), ("coat", "pit_xs", "resmlp", "dinov2"))
"""Table 6a beyond pairs."""


def group(name: str, models: tuple[str, ...], more: tuple[Stage, ...] = ()) -> Run:
    """Return the transfer between some of `MODELS`; ViTs among themselves get the recipe that the paper gives them.

    Args:
        name: of the run.
        models: two or more keys of `MODELS`.
        more: stages of other methods, before that of Bi-KD.
    """
    vit = all(model.startswith("vit_") for model in models)
    run = transfer(name, {model: MODELS[model]() for model in models}, recipe="vit" if vit else "plain")
    return replace(run, stages=(*run.stages[:-1], *more, run.stages[-1]))


def columns(first: str, second: str) -> tuple[Stage, ...]:
    """Return the other methods of Table 2 for a pair, as stages of the same length from the same weights.

    KL and KL+DP train each model with a frozen copy of the other one as teacher, without the task loss: the two
    directions that the paper runs one after the other share their batches. MCL is left out: its slow weights, top-100
    logits and SGD are stated by its own authors' code only, and [P] does not say what it took of them.
    """
    frozen = {f"{first}_before": first, f"{second}_before": second}

    def both(method: Callable[[str, str], Distiller]) -> Each:
        return Each(
            methods={
                first: method(f"{first}_before", f"{second}_before"),
                second: method(f"{second}_before", f"{first}_before"),
            }
        )

    def stage(name: str, distiller: Distiller, frozen: dict[str, str]) -> Stage:
        return Stage(name=name, epochs=EPOCHS, start="before", distiller=distiller, frozen=frozen)

    return (
        stage("kl", both(lambda _, other: KD.divergence_only(teacher=other)), frozen),
        stage("kl_dp", both(lambda own, other: KLDP(teachers=(other,), initial=own)), frozen),
        stage(
            "kl_dp_supervised",
            both(lambda own, other: KLDP(teachers=(other,), initial=own, supervised=True)),
            frozen,
        ),
        stage("dml", DML(), {}),
    )


def transfer(
    name: str,
    learners: Mapping[str, Learner],
    *,
    recipe: Literal["plain", "vit"] = "plain",
    preprocessing: Preprocessing = "native",
) -> Run:
    """Return Bi-KD between published classifiers, with the control of equal length.

    Args:
        name: of the run.
        learners: two or more of this module.
        recipe: ``"plain"``: constant rate, no augmentation [P]. ``"vit"``: what [P] calls "the default
            augmentation and cosine schedule of timm": random crops, flips and colours and label smoothing of 0.1
            [T]. [T] would also warm up for 5 epochs from 1e-5, ten times above the rate of 1e-6: left out.
        preprocessing: ``"native"`` gives each model the image its weights were made for, ``"shared"`` gives all
            the same one, as [K] does.
    """
    vit = recipe == "vit"
    adam = Optimizer(name="adam", lr=1e-6, weight_decay=1e-5, schedule="cosine" if vit else "constant")  # [P]
    return Run(
        name=name,
        task=ClassificationTask(label_smoothing=0.1 if vit else 0.0),
        data=ImageFolder(augmentation=Augmentation() if vit else None),
        learners={
            key: replace(learner, optimizer=adam, model=_with_input(learner.model, preprocessing))
            for key, learner in learners.items()
        },
        stages=(
            Stage(name="before", epochs=0),  # scores the published weights
            Stage(name="control", epochs=EPOCHS, start="before"),
            Stage(name="bi_kd", epochs=EPOCHS, start="before", distiller=BiKD()),
        ),
        train=Training(batch_size=128, workers=8, log_every=100, checkpoint_every=5000),  # [P] full precision
        report=Comparison(before="before", control="control", metric="top1"),
    )


def _timm(name: str) -> Learner:
    return Learner(model=TimmConfig.native(name), init="hub")


def _native(name: str) -> ImageSpec:
    return TimmConfig.native(name).input


def _with_input(model: ModelConfig, preprocessing: Preprocessing) -> ModelConfig:
    if preprocessing == "native":
        return model
    return replace(model, input=SHARED_INPUT)  # pyright: ignore[reportArgumentType]  # every config is a dataclass
