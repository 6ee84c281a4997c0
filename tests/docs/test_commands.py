"""Every command that a page shows is one: its name, its subcommand and its options are known to `--help-all`."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from saliency.commands.main import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md", "datasets/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "notebooks").glob("*.py")),
]
SHOWN = re.compile(r"(?:^|[`$;|&]|# |    )\s*(?:python -m )?(saliency [a-z].*?)(?:`|$)", re.MULTILINE)
EVERYWHERE = {"--help", "--help-all", "--debug"}
WITH_SUBCOMMANDS = {"prepare", "gaze", "data", "analyze"}


def shown():
    """(page, command) of each command, lines that end in a backslash joined."""
    for page in PAGES:
        text = re.sub(r"\\\n#?\s*", " ", page.read_text(encoding="utf-8"))
        for match in SHOWN.finditer(text):
            if '"""' in match[1]:  # a sentence of a docstring
                continue
            yield page.relative_to(ROOT), match[1].strip()


def test_commands_are_found_on_the_pages():
    commands = [command for _, command in shown()]
    assert len(commands) > 100
    assert 'saliency leaderboard scores --baseline "centre prior" --format md' in commands


@pytest.mark.slow
def test_commands_of_the_pages_are_known(tmp_path):
    helps = {}

    def options(words):
        if words not in helps:
            asked = [sys.executable, "-m", "saliency", *words, "--help-all"]
            done = subprocess.run(asked, capture_output=True, text=True, cwd=tmp_path)
            helps[words] = (
                set(re.findall(r"--[a-z][a-z-]*", done.stdout)) | EVERYWHERE if done.returncode == 0 else None
            )
        return helps[words]

    wrong = []
    for page, command in shown():
        try:
            words = shlex.split(command, comments=True)
        except ValueError:  # a quote that ends on another line
            words = command.split()
        name = words[1]
        if name not in COMMANDS:
            wrong.append(f"{page}: no command: {command}")
            continue
        deep = name in WITH_SUBCOMMANDS and len(words) > 2 and re.fullmatch(r"[a-z]+", words[2])
        known = options((name, words[2])) if deep else options((name,))
        if known is None:
            known = options((name,))
        lacking = [each for each in words if re.match(r"--[a-z]", each) and each.split("=")[0] not in (known or ())]
        if lacking:
            wrong.append(f"{page}: {' '.join(lacking)} is no option: {command}")
    assert not wrong, "\n".join(wrong)
