"""What is said of versions and of `make` in several places is said alike."""

import re
from pathlib import Path

from saliency import __version__

REPO = Path(__file__).resolve().parents[1]


def read(name: str) -> str:
    return (REPO / name).read_text(encoding="utf-8")


def test_the_version_is_the_same_everywhere():
    assert re.findall(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)[0] == __version__
    assert re.findall(r"^version: (\S+)", read("CITATION.cff"), re.MULTILINE) == [__version__]


def test_pythons_are_the_same_everywhere():
    named = re.findall(r"Python :: (3\.\d+)", read("pyproject.toml"))
    checked = re.findall(r'"(3\.\d+)"', read(".github/workflows/check.yml").split("python:")[1].splitlines()[0])
    assert named == checked and named[0] == "3.11"
    assert f'requires-python = ">={named[0]}"' in read("pyproject.toml")


def test_the_targets_of_make_that_are_named_are_there():
    there = set(re.findall(r"^([\w-]+):", read("Makefile"), re.MULTILINE))
    named = set(re.findall(r"^make ([\w-]+)", read("CONTRIBUTING.md"), re.MULTILINE))
    assert named == there
