"""Image classifiers of the timm library, (B, 3, H, W) -> (B, classes).

The library (Apache-2.0; each model's weights have their own licence, shown on its model card) is imported
when a model is built. Nothing deviates from its models; weights files keep their own names, with or without
our prefix.
"""

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from saliency.backbones.hub import hub
from saliency.errors import InputError, nearest
from saliency.types import ImageSpec, Init

if TYPE_CHECKING:
    import types


@dataclass(frozen=True, slots=True, kw_only=True)
class TimmConfig:
    """A model of timm.

    Attributes:
        name: the library's name with the weights' tag, e.g. ``"coat_lite_mini.in1k"``.
        input: the image it wants; `TimmConfig.native` takes it from the library.
        classes: number of classes.
        drop_path: rate at which residual branches are dropped in training; None is the model's own default.
        global_pool: how tokens or pixels become features; None is the model's own default.
    """

    name: str
    input: ImageSpec = field(default_factory=ImageSpec)
    classes: int = 1000
    drop_path: float | None = None
    global_pool: str | None = None

    @classmethod
    def native(cls, name: str, **settings: Any) -> "TimmConfig":
        """Return the config with the image size, crop and normalisation the library's weights were made for.

        Raises:
            InputError: timm is not installed or knows no such model.
        """
        found = published(name)
        spec = ImageSpec(
            size=(found.input_size[1], found.input_size[2]),
            mean=found.mean,
            std=found.std,
            crop=found.crop_pct,
            interpolation="bilinear" if found.interpolation == "bilinear" else "bicubic",
        )
        return cls(name=name, input=spec, **settings)

    def build(self, init: Init = "scratch") -> "TimmClassifier":
        """Make the model; `init` is ``"scratch"`` or ``"hub"`` for the published weights.

        Raises:
            InputError: timm is not installed, knows no such model, or the weights cannot be downloaded.
        """
        if init not in ("scratch", "hub"):
            raise InputError(f"init '{init}' of {self.name} is neither scratch, hub nor the path of a weights file")
        published(self.name)
        settings: dict[str, Any] = {"num_classes": self.classes}
        if self.drop_path is not None:
            settings["drop_path_rate"] = self.drop_path
        if self.global_pool is not None:
            settings["global_pool"] = self.global_pool
        try:
            with hub() if init == "hub" else nullcontext():
                return TimmClassifier(import_timm().create_model(self.name, pretrained=init == "hub", **settings))
        except (OSError, RuntimeError) as error:
            if init != "hub":
                raise
            raise InputError(
                f"the weights of {self.name} cannot be downloaded ({type(error).__name__}): get model.safetensors of "
                f"https://huggingface.co/timm/{self.name} and set the learner's init to that file"
            ) from error


class TimmClassifier(nn.Module):
    """Wraps a timm model so that its features can be read."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net: Any = net

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, D), what the head's last linear layer sees."""
        return self.net.forward_head(self.net.forward_features(images), pre_logits=True)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images -> (B, classes) logits."""
        return self.net(images)

    @staticmethod
    def from_official(key: str) -> str:
        """Return our name of a weight that timm (or the model's authors) call `key`."""
        return f"net.{key}"


def published(name: str) -> Any:
    """Return what timm knows of a model's published weights.

    Raises:
        InputError: timm is not installed or knows no such model or no such weights.
    """
    timm = import_timm()
    try:
        found = timm.models.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise InputError(f"timm {timm.__version__} knows no model '{name}': {error}") from error
    if found is None:
        known = timm.list_models(pretrained=True)
        raise InputError(f"timm {timm.__version__} knows no model '{name}'{nearest(name, known)}")
    return found


def import_timm() -> "types.ModuleType":
    """Return the timm library.

    Raises:
        InputError: it is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise InputError('classifiers need timm: pip install "video-saliency[classification]"') from error
    return timm
