"""The log of a run, ``log.jsonl``: one JSON object a line, with stage, step and kind."""

import json
from pathlib import Path
from typing import Any

from saliency.errors import InputError

LOG = "log.jsonl"


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log; one that was being written when the process died is left out.

    Raises:
        InputError: there is no log, or a line of it is damaged.
    """
    if not path.is_file():
        raise InputError(f"there is no {path}: train the run first")
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = []
    for number, words in enumerate(text.splitlines(keepends=True), 1):
        try:
            line = json.loads(words)
            if not {"stage", "step", "kind"} <= line.keys():
                raise ValueError
        except (ValueError, AttributeError, RecursionError) as error:
            if not words.endswith("\n"):
                break
            told = f"{path}, line {number} is damaged; the weights beside it need not be: remove the line"
            raise InputError(told) from error
        lines.append(line)
    return lines
