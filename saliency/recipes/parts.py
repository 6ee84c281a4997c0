"""Runs of the project on a part of their data: partial downloads, quick trials."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from saliency.config.run import Run
from saliency.errors import InputError
from saliency.preparation.picking import pick


def with_splits(run: Run, splits: Mapping[str, str]) -> Run:
    """Return a run whose data, and whose report's, are made of the videos that are named.

    Raises:
        InputError: the run's data knows no videos by name.
    """
    parts: dict[str, Any] = {}
    for name, part in (("data", run.data), ("report", run.report)):
        holder: Any = part
        if hasattr(getattr(holder, "source", None), "videos"):
            parts[name] = replace(holder, source=pick(holder.source, splits))
    if "data" not in parts:
        raise InputError(f"--splits: the data of {run.name} has no videos to choose by name; leave it out")
    return replace(run, **parts)
