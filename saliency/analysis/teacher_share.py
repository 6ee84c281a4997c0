"""Who taught whom over the course of a run, from its log."""

from dataclasses import dataclass
from pathlib import Path

from saliency.report.plot import lines
from saliency.training.run_log import read_log

PREFIX = "taught/"


@dataclass(frozen=True, slots=True)
class TeacherShare:
    """Share of the samples each learner taught in a stage.

    Attributes:
        stage: name of the stage.
        steps: step of each log line.
        shares: learner -> share of the samples since the previous log line.
    """

    stage: str
    steps: list[int]
    shares: dict[str, list[float]]

    def plot(self) -> str:
        """Return the shares over the steps as SVG."""
        series = {name: (self.steps, own) for name, own in self.shares.items()}
        return lines(series, f"who taught in stage {self.stage}", "step", "share of samples")


def read_shares(log: Path) -> list[TeacherShare]:
    """Return the shares of every stage in which somebody taught, in the log's order.

    Args:
        log: ``log.jsonl`` of a run.

    Raises:
        InputError: there is no log, or it is damaged.
    """
    stages: dict[str, TeacherShare] = {}
    for line in read_log(log):
        own = {key.removeprefix(PREFIX): value for key, value in line.items() if key.startswith(PREFIX)}
        if not own:
            continue
        found = stages.setdefault(line["stage"], TeacherShare(line["stage"], [], {name: [] for name in own}))
        found.steps.append(line["step"])
        for name, values in found.shares.items():
            values.append(own.get(name, 0.0))
    return [share for share in stages.values() if any(value > 0 for own in share.shares.values() for value in own)]
