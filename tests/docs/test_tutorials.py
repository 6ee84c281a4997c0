"""The blocks of each tutorial run as they are printed, in an empty folder, with a video the project draws."""

import itertools
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
STORIES = sorted(path.stem for path in TUTORIALS.glob("*.md") if path.stem != "README")
FAST = {"CLIPS = 1000": "CLIPS = 3"}
"""What is shortened here."""
LEFT = {
    "analyst": ["ad_report/report.html", "ad_report/thumb_3.png", "other_report/frames.csv"],
    "editor": ["look.mp4", "line.mp4", "upright/crop.mp4", "shape_4x5/crop.mp4", "still.png"],
    "engineer": ["maps/00002.npz"],
    "operator": [
        "from_the_page/report.html",
        "done/second_saliency.mp4",
        "ranked/rank.csv",
        "reports/second/report.html",
    ],
}
SAID = {
    "analyst": ["product: ", "above its size in ", "ad_report: logo gets "],
    "editor": ["crop: keeps ", "look there first"],
    "engineer": ["last frame: 7", "uint8", " 2.00 s", "3 clips, ", "nss"],
    "operator": [
        "page: http://127.0.0.1:",
        '"state":"uploaded"',
        '"error":"page.mp4: is not a video',
        "nothing is left",
        "status 2",
    ],
}
pytestmark = [pytest.mark.tutorial, pytest.mark.timeout(900)]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return str(found.getsockname()[1])


def blocks(story):
    """Language and text of each block."""
    text = (TUTORIALS / f"{story}.md").read_text().replace("7861", free_port())
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert {language for language, _ in found} <= {"bash", "python"}
    for long, short in FAST.items():
        found = [(language, block.replace(long, short)) for language, block in found]
    return found


def script(story):
    """All blocks as one shell script; Python blocks with nothing of another language between them are one program."""
    lines = ["set -euo pipefail"]
    for language, group in itertools.groupby(blocks(story), key=lambda block: block[0]):
        text = "".join(block for _, block in group)
        lines.append(
            text
            if language == "bash"
            else f"cat > program.py <<'END_OF_PROGRAM'\n{text}END_OF_PROGRAM\npython program.py"
        )
    return "\n".join(lines)


@pytest.fixture
def machine(tmp_path):
    """Runs a script where `saliency` and `python` are those of this checkout."""
    tools = tmp_path / "tools"
    (tmp_path / "work").mkdir()
    (tmp_path / "tmp").mkdir()
    tools.mkdir()
    for name, words in (("saliency", f'"{sys.executable}" -m saliency'), ("python", f'"{sys.executable}"')):
        (tools / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        (tools / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "TMPDIR": str(tmp_path / "tmp")}

    def run(text):
        return subprocess.run(
            ["bash", "-c", text], cwd=tmp_path / "work", env=env, capture_output=True, text=True, timeout=800
        )

    return run


@pytest.mark.parametrize("story", STORIES)
def test_a_story(story, machine, tmp_path):
    done = machine(script("README"))
    assert done.returncode == 0, done.stderr
    done = machine(script(story))
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Traceback" not in said, said
    for path in LEFT[story]:
        assert (tmp_path / "work" / path).stat().st_size > 100, path
    for words in SAID[story]:
        assert words in said, said


def test_every_story_is_known():
    assert STORIES == sorted(LEFT) == sorted(SAID)
