"""Methods against a control: one table over the stages of a run, with paired tests over seeds.

All stages that start from the same earlier stage see the same samples in the same order, so the differences
between two of them are paired. Seeds whose data splits overlap are not independent; p values are then too
small.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from saliency.config.run import Run
from saliency.errors import InputError
from saliency.io.atomic import write_atomic
from saliency.report.formats import markdown_text
from saliency.training.run_log import read_log

Scores = Mapping[tuple[str, str], float]
"""(stage, learner) -> score."""

LOG = "log.jsonl"
NAME = "comparison"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Compares a run's stages by their last validation, without choosing the best epoch.

    Writes ``comparison.md`` and ``comparison.json``.

    Attributes:
        before: stage whose end is the starting point of the others.
        control: stage that continues without transfer; the others are tested against it.
        metric: the validation score compared, higher is better.
        scale: factor for the tables; 100 shows a share as points.
    """

    before: str
    control: str
    metric: str
    scale: float = 100.0

    def __call__(self, run: Run, folder: Path) -> None:
        """Write the table of one run."""
        self._write(run, [folder], folder)

    def combine(self, run: Run, folders: Sequence[Path], out: Path) -> None:
        """Write the table over several seeds."""
        self._write(run, folders, out)

    def _write(self, run: Run, folders: Sequence[Path], out: Path) -> None:
        names = [stage.name for stage in run.stages]
        for stage in (self.before, self.control):
            if stage not in names:
                raise InputError(f"the comparison needs a stage called '{stage}'; the run has: {', '.join(names)}")
        scores = [last_scores(folder / LOG, self.metric) for folder in folders]
        rows = [
            row for stage in names for learner in run.learners if (row := self._row(stage, learner, scores)) is not None
        ]
        with write_atomic(out / f"{NAME}.json") as file:
            file.write(json.dumps({"metric": self.metric, "seeds": len(folders), "rows": rows}, indent=2))
        with write_atomic(out / f"{NAME}.md") as file:
            file.write(self._table(run, rows, len(folders)))

    def _row(self, stage: str, learner: str, scores: Sequence[Scores]) -> dict | None:
        """What one stage did to one learner, over the seeds; None if some seed has no score for it."""
        if not all((stage, learner) in of_seed for of_seed in scores):
            return None

        def of(name: str) -> np.ndarray:
            return self.scale * np.array([of_seed.get((name, learner), np.nan) for of_seed in scores])

        value, before, control = of(stage), of(self.before), of(self.control)
        row = {
            "stage": stage,
            "learner": learner,
            "values": value.tolist(),
            "mean": float(value.mean()),
            "std": float(value.std()),
            "change": float((value - before).mean()),
            "change_std": float((value - before).std()),
            "improved": int((value > before).sum()),
        }
        if stage not in (self.before, self.control):
            row["against_control"] = paired(value - control)
        return row

    def _table(self, run: Run, rows: Sequence[dict], seeds: int) -> str:
        lines = [
            f"# {markdown_text(run.name)}: {self.metric} of the last epoch, {seeds} seed{'s' if seeds > 1 else ''}",
            "",
        ]
        lines += [f"| stage | {' | '.join(map(markdown_text, run.learners))} |", "|---" * (1 + len(run.learners)) + "|"]
        for stage in dict.fromkeys(row["stage"] for row in rows):
            cells = []
            for learner in run.learners:
                row = next((r for r in rows if r["stage"] == stage and r["learner"] == learner), None)
                cells.append(self._cell(row, seeds) if row else "not finished")
            lines.append(f"| {markdown_text(stage)} | {' | '.join(cells)} |")
        lines += [
            "",
            f"Row `{self.before}`: mean ± standard deviation over seeds (ddof 0). Other rows: change since then ± its "
            f"deviation; then the mean paired difference from `{self.control}` with its standard error, the p value of "
            "a paired t test (not adjusted for the number of rows) and the share of seeds in which it is positive.",
            "",
        ]
        return "\n".join(lines)

    def _cell(self, row: Mapping, seeds: int) -> str:
        if row["stage"] == self.before:
            return f"{row['mean']:.2f} ± {row['std']:.2f}" if seeds > 1 else f"{row['mean']:.2f}"
        text = f"{row['change']:+.2f} ± {row['change_std']:.2f}" if seeds > 1 else f"{row['change']:+.2f}"
        test = row.get("against_control")
        if test is None:
            return text
        text += f"; {test['mean']:+.2f}"
        if test["se"] is None:
            return text
        p = "p < .001" if test["p"] < 0.001 else f"p {test['p']:.3f}".replace("0.", ".")
        return text + f" (se {test['se']:.2f}, {p}, {test['wins']}/{seeds})"


def paired(differences: np.ndarray) -> dict[str, float | int | None]:
    """Mean of paired differences, its standard error, two-sided p value of a paired t test, and wins.

    Args:
        differences: (N,) one per seed. With fewer than two, or no spread, there is no error and no test.
    """
    n, mean = len(differences), float(differences.mean())
    error = float(differences.std(ddof=1)) / n**0.5 if n > 1 else 0.0
    return {
        "mean": mean,
        "se": error or None,
        "p": float(2 * stats.t.sf(abs(mean) / error, n - 1)) if error else None,
        "wins": int((differences > 0).sum()),
    }


def last_scores(log: Path, metric: str) -> dict[tuple[str, str], float]:
    """Return (stage, learner) -> the last validation score in a run's log.

    Raises:
        InputError: there is no log, or it has no such score.
    """
    scores = {}
    prefix = f"val_{metric}/"
    for line in read_log(log):
        if line["kind"] == "val":
            found = {key.removeprefix(prefix): value for key, value in line.items() if key.startswith(prefix)}
            scores |= {(line["stage"], learner): value for learner, value in found.items()}
    if not scores:
        raise InputError(f"{log} has no validation of '{metric}'")
    return scores
