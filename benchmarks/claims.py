"""Every claim about speed stands once: README's "How fast" is made of the results that were measured.

``python benchmarks/claims.py`` writes the section anew from ``benchmarks/results/*.json``. A result holds claims: the
same work done the usual way and ours, in one run on one machine. ``--fresh FILE`` compares a new result with the last
committed one of the same name and processor, and warns where a ratio fell by more than 15 %.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from saliency.commands.main import exit_with
from saliency.errors import InputError

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"
FALL = 0.15
"""Share of a ratio that may be lost to chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The same work done in two ways.

    Attributes:
        name: the work.
        usual: the usual way.
        usual_value: what it took.
        ours: our way.
        ours_value: what it took.
        unit: of both, less is better.
        cpu: processor.
        date: of the measurement.
        source: name of the page that tells of it.
    """

    name: str
    usual: str
    usual_value: float
    ours: str
    ours_value: float
    unit: str
    cpu: str
    date: str
    source: str

    @property
    def ratio(self) -> float:
        """How many times less ours takes."""
        return self.usual_value / self.ours_value


def read(file: Path) -> list[Claim]:
    """Return the claims of a result.

    Raises:
        InputError: it holds something else.
    """
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
        if "claims" not in result:
            return []
        known = {"cpu": result["cpu"], "date": result["date"], "source": file.with_suffix(".md").name}
        return [Claim(**{**known, **claim}) for claim in result["claims"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{file}: no result with claims ({error})") from error


def latest(folder: Path = RESULTS) -> list[Claim]:
    """Return the last measured claim of each work and way on each processor, in the order of their files."""
    found: dict[tuple[str, str, str], Claim] = {}
    for file in sorted(folder.glob("*.json")):
        for claim in read(file):
            found[claim.name, claim.ours, claim.cpu] = claim
    return list(found.values())


def section(claims: list[Claim]) -> str:
    """Return the table."""
    lines = ["| | the usual way | here | | measured |", "|---|---|---|---:|---|"]
    for claim in claims:
        usual, ours = (f"{value:.3g} {claim.unit}" for value in (claim.usual_value, claim.ours_value))
        source = f"[{claim.date}](benchmarks/results/{claim.source}), {claim.cpu}"
        lines.append(
            f"| {claim.name} | {claim.usual}, {usual} | {claim.ours}, {ours} | {claim.ratio:.1f} x | {source} |"
        )
    return "\n".join(lines)


def filled(readme: str, claims: list[Claim]) -> str:
    """Return README with the table between the marks."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"README.md lacks {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{section(claims)}\n{END}{after}"


def fallen(fresh: list[Claim], committed: list[Claim]) -> list[str]:
    """Return a line for each ratio that fell by more than `FALL`."""
    last = {(claim.name, claim.ours, claim.cpu): claim for claim in committed}
    lines = []
    for claim in fresh:
        before = last.get((claim.name, claim.ours, claim.cpu))
        if before is not None and claim.ratio < (1 - FALL) * before.ratio:
            lines.append(f"{claim.name}, {claim.ours}: {claim.ratio:.2f} x, was {before.ratio:.2f} x ({before.date})")
    return lines


def main(fresh: Path | None = None) -> int:
    """Write README's section, or compare a fresh result.

    Args:
        fresh: a new result, which is compared instead.
    """
    if fresh is not None:
        lines = fallen(read(fresh), [claim for claim in latest() if claim.source != fresh.with_suffix(".md").name])
        sys.stdout.write("".join(f"slower than before: {line}\n" for line in lines) or "no ratio fell\n")
        return 1 if lines else 0
    README.write_text(filled(README.read_text(encoding="utf-8"), latest()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    exit_with(lambda: tyro.cli(main))
