"""What the commands that predict share: opening models, and saying which."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from saliency.errors import InputError

if TYPE_CHECKING:
    from saliency.attention.notes import ModelNotes
    from saliency.inference.backends.base import BackendWish, PrecisionWish
    from saliency.inference.ensemble import Ensemble
    from saliency.inference.model import Model
    from saliency.inference.predictor import Predictor


class Asked(Protocol):
    """The options that commands which predict have in common."""

    @property
    def weights(self) -> tuple[str, ...]:
        """Models by name, or weights files."""
        ...

    @property
    def ensemble(self) -> bool:
        """Whether several are averaged."""
        ...

    @property
    def ensemble_weights(self) -> tuple[float, ...]:
        """Weights of the mean."""
        ...

    @property
    def device(self) -> str:
        """Where to compute."""
        ...

    @property
    def batch_size(self) -> int:
        """Clips computed at once."""
        ...

    @property
    def backend(self) -> "BackendWish":
        """Who computes."""
        ...

    @property
    def precision(self) -> "PrecisionWish":
        """Arithmetic."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which models are to predict, and how; can be sent to other processes.

    Attributes:
        weights: as --weights names them; none: the default model.
        ensemble: whether several are averaged.
        shares: weights of the mean; none: equal ones.
        device: where to compute.
        batch_size: clips computed at once.
        backend: who computes.
        precision: arithmetic.
    """

    weights: tuple[str, ...] = ()
    ensemble: bool = False
    shares: tuple[float, ...] = ()
    device: str = "auto"
    batch_size: int = 4
    backend: "BackendWish" = "auto"
    precision: "PrecisionWish" = "auto"

    @classmethod
    def of(cls, arguments: "Asked") -> "Choice":
        """Return what the options of a command name."""
        return cls(
            weights=arguments.weights,
            ensemble=arguments.ensemble,
            shares=arguments.ensemble_weights,
            device=arguments.device,
            batch_size=arguments.batch_size,
            backend=arguments.backend,
            precision=arguments.precision,
        )

    def load(self) -> "list[Model]":
        """Load the models; see `load_models`."""
        return load_models(
            self.weights,
            ensemble=self.ensemble,
            device=self.device,
            backend=self.backend,
            precision=self.precision,
        )

    def predictor(self, models: "Sequence[Model]") -> "Predictor | Ensemble":
        """Return what makes maps; see `make_predictor`."""
        return make_predictor(models, shares=self.shares, batch_size=self.batch_size)

    def absolute(self) -> "Choice":
        """Return the same with the files of the weights, whatever the working folder."""
        from saliency.inference.zoo import resolve

        return replace(self, weights=tuple(str(resolve(name).resolve()) for name in self.weights))

    def fingerprint(self) -> str:
        """Return what tells two choices with different maps apart."""
        from saliency.inference.zoo import resolve
        from saliency.io.weights import file_sha256

        hashes = [file_sha256(resolve(name)) for name in self.weights or [None]]
        return f"{hashes} {self.shares} {self.precision}"


def build(choice: Choice) -> "Predictor | Ensemble":
    """Load the models of a choice and return what makes maps."""
    return choice.predictor(choice.load())


def load_models(
    weights: Sequence[str],
    *,
    ensemble: bool,
    device: str,
    backend: "BackendWish" = "auto",
    precision: "PrecisionWish" = "auto",
) -> "list[Model]":
    """Load the models that --weights names; none named: the default one.

    Raises:
        InputError: one cannot be loaded, or several are named and not asked to be averaged; or the device, backend or
            precision cannot be used here.
    """
    from saliency.inference.model import load_model

    if len(weights) > 1 and not ensemble:
        raise InputError("several --weights: add --ensemble to average them")
    if ensemble and len(weights) < 2:
        raise InputError("--ensemble averages several models; give at least two --weights")
    return [load_model(name, device=device, backend=backend, precision=precision) for name in weights or [None]]


def make_predictor(
    models: "Sequence[Model]", *, shares: Sequence[float] = (), batch_size: int = 4
) -> "Predictor | Ensemble":
    """Return what makes maps: one model, or the mean of several.

    Args:
        models: loaded ones.
        shares: weights of the mean; none: equal ones.
        batch_size: clips computed at once.

    Raises:
        InputError: a number is out of range.
    """
    from saliency.inference.ensemble import Ensemble

    if batch_size < 1:
        raise InputError(f"--batch-size must be at least 1, got {batch_size}")
    predictors = [model.predictor(batch_size) for model in models]
    if shares and len(shares) != len(models):
        raise InputError(f"--ensemble-weights: give one number for each of the {len(models)} --weights")
    if not all(0 < share < math.inf for share in shares):
        raise InputError(
            f"--ensemble-weights must be numbers above 0, got {' '.join(f'{share:g}' for share in shares)}"
        )
    return predictors[0] if len(predictors) == 1 else Ensemble(predictors, shares or None)


def describe(models: "Sequence[Model]") -> str:
    """Return which models are used and what their cards say of them in short, or that they only demonstrate."""
    names = " + ".join(f"{model.name} (sha256 {model.sha256[:12]})" for model in models)
    lines = [f"model: {names} on {models[0].engine.compute}"]
    if any(_demonstrates(model) for model in models):
        lines.append(DEMONSTRATION)
    lines += [f"{card.name}: {card.about}" for card in (model.card for model in models) if card is not None]
    return "\n".join(lines)


DEMONSTRATION = "This model learned from simulated viewers only: it shows that all works; rely on it for nothing."


def notes_of(models: "Sequence[Model]") -> "ModelNotes":
    """Return what a report says of the models."""
    from saliency.attention.notes import ModelNotes
    from saliency.inference.zoo import list_models

    entries = {entry.name: entry for entry in list_models()}
    known = [entries.get(model.name) for model in models]
    cards = [card for card in (model.card for model in models) if card is not None]
    return ModelNotes(
        name=" + ".join(model.name for model in models),
        about=" ".join(card.about for card in cards) or "; ".join(entry.about for entry in known if entry is not None),
        licence="; ".join(card.licences.get("weights", "") for card in cards),
        limits=tuple(dict.fromkeys(limit for card in cards for limit in card.not_for)),
        sha256=", ".join(model.sha256 for model in models),
        computed=str(models[0].engine.compute),
        demonstration=any(_demonstrates(model) for model in models),
        judge=models[0].judge if len(models) == 1 else None,
    )


def _demonstrates(model: "Model") -> bool:
    return model.name.startswith("mini_")
