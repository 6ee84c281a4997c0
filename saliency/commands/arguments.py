"""From the words of a command line to a dataclass: help that fits a screen, and mistakes in one line."""

import contextlib
import dataclasses
import io
import re
import sys
import typing
from collections.abc import Sequence
from typing import Any, TypeVar

from saliency.errors import EXIT_BAD_INPUT, InputError, nearest

T = TypeVar("T")

HELP = ("-h", "--help")
HELP_ALL = "--help-all"

ELSEWHERE = {
    **dict.fromkeys(("--model", "--models", "--checkpoint", "-m", "-w"), "--weights"),
    **dict.fromkeys(("--output", "--output-dir", "--outdir", "-o"), "--out"),
}
"""What options are called in other programs -> here."""
FILES = ("--input", "--file", "--source", "--path", "-i", "-f")
"""What other programs call the files to work on, which stand without an option here."""


def parse(kind: type[T], words: Sequence[str], *, command: str, more: Sequence[str] = ()) -> T:
    """Return the arguments that the words give.

    Args:
        kind: a dataclass whose docstring explains each attribute; fields are options, ``tyro.conf.Positional``
            ones are not.
        words: what stands behind the command.
        command: its name, for the help.
        more: fields that only ``--help-all`` shows.

    Raises:
        InputError: an option is unknown (the nearest is named), lacks its value or has a wrong one.
        SystemExit: help was asked for and printed (status 0).
    """
    if HELP_ALL in words or any(word in words for word in HELP):
        short = bool(more) and HELP_ALL not in words
        _print_help(_without(kind, more) if short else kind, command)
        if short:
            sys.stdout.write(f"More options: saliency {command} --help-all\n")
        raise SystemExit(0)
    known = {option(field.name) for field in dataclasses.fields(typing.cast(Any, kind))}
    for word in words:
        name = word.partition("=")[0].replace("_", "-")
        if re.match(r"--.|-[a-zA-Z]$", word) and name not in known:
            raise InputError(_unknown(name, known, command))
    return _tyro(kind, words, command)


def parse_subcommands(kinds: dict[str, type], words: Sequence[str], *, command: str, description: str) -> Any:
    """Return the arguments of one of several subcommands.

    Args:
        kinds: name -> dataclass; the first line of its docstring is shown in the list.
        words: what stands behind the command, the subcommand first.
        command: its name.
        description: said above the list of subcommands.

    Raises:
        InputError: there is no such subcommand, or its words are wrong.
        SystemExit: help was asked for and printed (status 0).
    """
    if not words or words[0] in (*HELP, HELP_ALL):
        width = max(map(len, kinds))
        sys.stdout.write(f"usage: saliency {command} {{{','.join(kinds)}}} …\n\n{description.strip()}\n\n")
        for name, kind in kinds.items():
            sys.stdout.write(f"  {name:<{width}}  {(kind.__doc__ or '').strip().splitlines()[0]}\n")
        sys.stdout.write(f"\nOptions of each: saliency {command} NAME --help\n")
        raise SystemExit(0)
    name = words[0]
    if name not in kinds:
        raise InputError(f"saliency {command} has no '{name}'{nearest(name, kinds)}; it has {', '.join(kinds)}")
    return parse(kinds[name], words[1:], command=f"{command} {name}")


def at_least(arguments: object, **least: int) -> None:
    """Refuse an option below its least value; None where it was not given.

    Args:
        arguments: the dataclass.
        least: field -> its least value.

    Raises:
        InputError: names the option.
    """
    for field, lowest in least.items():
        value = getattr(arguments, field)
        if value is not None and value < lowest:
            raise InputError(f"{option(field)} must be at least {lowest}, got {value}")


def option(field: str) -> str:
    """Return how a field is written on the command line; ``from_`` is what Python's keyword leaves for ``--from``."""
    return "--" + field.rstrip("_").replace("_", "-")


def _tyro(kind: type[T], words: Sequence[str], command: str) -> T:
    """Let tyro parse; what it says of mistakes becomes one line."""
    import tyro

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                kind,
                args=list(words),
                prog=f"saliency {command}",
                description=_summary(kind),
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone),
            )
    except SystemExit as stop:
        if stop.code == EXIT_BAD_INPUT:
            raise InputError(f"{_one_line(said.getvalue())}; see saliency {command} --help") from None
        raise


def _print_help(kind: type, command: str) -> None:
    """Print tyro's help without the defaults that say nothing."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        _tyro(kind, ["--help"], command)
    said = re.sub(r"\(default:[\s│]*(None|False)?\)", lambda found: re.sub(r"[^\s│]", " ", found[0]), text.getvalue())
    lines = [line for line in said.splitlines() if not line or line.strip("│ ")]
    sys.stdout.write("\n".join(line.rstrip() for line in lines) + "\n")


def _summary(kind: type) -> str:
    """The docstring before its list of attributes."""
    return (kind.__doc__ or "").partition("\n\n    Attributes:")[0].strip()


def _without(kind: type, hidden: Sequence[str]) -> type:
    """A dataclass that lacks some fields, for a shorter help."""
    hints = typing.get_type_hints(kind, include_extras=True)
    kept = []
    for field in dataclasses.fields(kind):
        if field.name not in hidden:
            default = dataclasses.field(default=field.default, default_factory=field.default_factory)  # pyright: ignore
            kept.append((field.name, hints[field.name], default))
    short = dataclasses.make_dataclass(kind.__name__, kept, frozen=True, kw_only=True)
    short.__doc__ = kind.__doc__
    return short


def _one_line(text: str) -> str:
    """Boxes, rules and hints of a parser's message taken away."""
    text = re.sub(r"[─-╿]+|-{4,}|^\s*\||\|\s*$", " ", text, flags=re.MULTILINE)  # the latter where no UTF-8 is known
    text = re.sub(r"(Argument helptext|For full helptext).*", "", text, flags=re.DOTALL)
    text = re.sub(r"^\s*(Parsing|Value) error\s+", "", text)
    text = re.sub(
        r"^\s*(Parsing error|Invalid choice|Missing argument|Required options|Unrecognized options)\b", "", text
    )
    text = " ".join(text.split()).rstrip(".: ")
    for pattern, words in SAID:
        text = re.sub(pattern, words, text)
    return text


SAID = (
    (r"Missing value for argument '(.*?)'\. Expected .*", r"\1 needs a value"),
    (r"invalid choice '(.*?)' for argument '(.*?)'\. Expected one of \((.*?),?\)", r"\2: '\1' is none of \3"),
    (r"Error parsing (\S+): could not convert string to float: (.*)", r"\1: \2 is no number"),
    (r"Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)", r"\1: \2 is no whole number"),
    (r"Error parsing (\S+): no type matching INT could be instantiated from \[(.*?)\].*", r"\1: \2 is no whole number"),
    (r"Error parsing (\S+): no type matching FLOAT could be instantiated from \[(.*?)\].*", r"\1: \2 is no number"),
    (r"Missing from (saliency.*?): (?:STR |PATH )?(.*?)\.? ?\(required\).*", r"\1 lacks an argument: \2"),
    (r"^Unrecognized options: (.*)", r"\1: more than this command takes"),
)
"""What tyro says of mistakes -> what is said here."""


def _unknown(name: str, known: set[str], command: str) -> str:
    if (here := ELSEWHERE.get(name)) in known:
        return f"unknown option {name}: here it is called {here}"
    if name in FILES:
        return f"unknown option {name}: files stand without one, such as saliency {command} clip.mp4"
    for other in _siblings(command):
        if name in _options_of(other):
            return f"unknown option {name}: it belongs to 'saliency {other}'; saliency {command} --help lists its own"
    if near := nearest(name, sorted(known)):
        return f"unknown option {name}{near}"
    if command == "train":
        settings = "settings of a run are written like stages.scratch.epochs=3"
        return f"unknown option {name}; {settings}, and saliency train CONFIG --options lists them"
    return f"unknown option {name}; saliency {command} --help lists the options"


def _siblings(command: str) -> list[str]:
    from saliency.commands.main import COMMANDS

    return [name for name in COMMANDS if name != command.split()[0]]


def _options_of(command: str) -> set[str]:
    """The options of another command, without running any of it."""
    import importlib

    module = importlib.import_module(f"saliency.commands.{command}")
    kind = getattr(module, "Arguments", None)
    return {option(field.name) for field in dataclasses.fields(kind)} if kind is not None else set()
