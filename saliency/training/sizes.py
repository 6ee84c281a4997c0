"""How large the learners of a run are, without building their weights."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from saliency.config.run import Run
from saliency.tasks.saliency import SaliencyTask


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerSize:
    """The size of a learner.

    Attributes:
        learner: its name.
        parameters: all of its weights.
        trained: those that learn; 0 of a frozen teacher.
        gflop: billions of floating-point operations (a product and a sum are two) of the map of one clip; None of
            models that see no clips.
    """

    learner: str
    parameters: int
    trained: int
    gflop: float | None


def learner_sizes(run: Run) -> Iterator[LearnerSize]:
    """Yield the size of each learner of a run; nothing is computed and no memory is taken.

    Raises:
        InputError: a package that a model needs is missing.
    """
    for name, learner in run.learners.items():
        with torch.device("meta"):
            model = learner.model.build("scratch").eval()
        gflop = None
        if isinstance(run.task, SaliencyTask):
            spec = learner.model.input
            clip = torch.empty((1, 3, spec.length, *spec.size), device="meta")
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                model(clip)
            gflop = counter.get_total_flops() / 1e9
        weights = list(model.parameters())
        yield LearnerSize(
            learner=name,
            parameters=sum(weight.numel() for weight in weights),
            trained=sum(weight.numel() for weight in weights if weight.requires_grad and learner.optimizer is not None),
            gflop=gflop,
        )
