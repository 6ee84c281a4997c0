"""The samples of a run: those all learners share, and those of learners that train alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from saliency.config.run import Fingerprint, Run, Samples


@dataclass(frozen=True, slots=True)
class RunSamples:
    """What a run trains and validates on.

    Attributes:
        training: training samples for all learners of the run.
        validation: validation samples for them.
        alone: (stage, learner) -> what that learner sees in a stage in which the learners train alone.
    """

    training: Samples
    validation: Samples
    alone: "Mapping[tuple[str, str], RunSamples]" = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run) -> "RunSamples":
        """Make the samples.

        Raises:
            InputError: the data cannot be used.
        """
        views = {name: learner.model.input for name, learner in run.learners.items()}
        alone = {(stage.name, name): cls.of(run.part(stage, name)) for stage in run.stages for name in stage.alone}
        return cls(run.data.training(views), run.data.validation(views), alone)

    def fingerprints(self) -> dict[str, str]:
        """Return what tells these samples from others, as far as they can say it; "" where they cannot."""
        facts = {"training": fingerprint(self.training), "validation": fingerprint(self.validation)}
        for (stage, name), samples in self.alone.items():
            facts |= {f"{kind}/{stage}/{name}": fact for kind, fact in samples.fingerprints().items()}
        return facts


def fingerprint(samples: Samples) -> str:
    """Return what tells these samples from others, as far as they can say it; "" where they cannot."""
    return samples.fingerprint() if isinstance(samples, Fingerprint) else ""
