"""The command `saliency`: one table of commands, and one place where errors become one line.

Nothing heavy is imported before a command is known, so that `saliency --help` answers at once.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from saliency import __version__
from saliency.commands.explain import explain
from saliency.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, InputError, nearest
from saliency.runtime.freed_memory import keep_all
from saliency.runtime.interrupt import stop_on_sigterm

COMMANDS = {
    "infer": "show where people would look: an overlay video, maps",
    "report": "a page to send: attention on regions over time, a crop that follows it, thumbnails",
    "compare": "two cuts of a film side by side: where the attention went in each",
    "serve": "the report as a page: upload, draw regions, read, download",
    "train": "train the models of a config, let them teach each other",
    "evaluate": "score models, maps of any method and baselines on a data set",
    "leaderboard": "tables of results, with intervals and tests",
    "analyze": "what a transfer did: who taught whom, what was recovered",
    "prepare": "check, cache, extract and describe data sets",
    "gaze": "recordings of eye trackers: import them onto a video, regions per viewer",
    "data": "get open data: download, check, convert",
    "export": "write a model as one ONNX, OpenVINO or torch.export file",
    "bench": "how fast this machine predicts: every model, backend and precision",
    "doctor": "what this machine has and lacks",
}
"""Each command and what it does; its code is `saliency/commands/NAME.py`."""

SCREEN = """saliency {version}: where people look in a video

usage: saliency COMMAND …        saliency COMMAND --help

{commands}

examples:
  saliency infer clip.mp4
  saliency report ad.mp4 --roi logo=1620,60,240,90 --crop 9:16 --thumbnails 3
  saliency train mini_tmfi_vinet
  saliency evaluate --data mini --weights model.safetensors
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 when done, 2 after bad input, 130 after Ctrl-C, 143 after SIGTERM.

    Args:
        argv: the words after ``saliency``; None takes those of the process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    if debug:
        words.remove("--debug")
    if not words or words[0] in ("-h", "--help", "help"):
        width = max(map(len, COMMANDS))
        commands = "\n".join(f"  {name:<{width}}  {what}" for name, what in COMMANDS.items())
        exit_with(lambda: _print(SCREEN.format(version=__version__, commands=commands)))
    if words[0] in ("-V", "--version"):
        exit_with(lambda: _print(f"saliency {__version__}\n"))
    set_up_process()
    exit_with(lambda: run(words), debug=debug)


def set_up_process() -> None:
    """Tell PyTorch, before it is loaded, how to take memory and how its threads wait; what the user set is left.

    Memory comes in pages of 2 MB where the system offers them (Linux): each map of ViNet-S touches hundreds of MB for
    the first time, and 15 % of its CPU time went into pages of 4 kB. A process takes a tenth more memory.

    A thread that waits for the others of GNU's OpenMP sleeps after a few microseconds instead of milliseconds: while
    it spins on a processor that somebody else wants, those it waits for cannot run. With one of two processors busy
    the default model made 4 maps a second, and makes 42 so; on an idle machine nothing changes.

    Memory that was freed is kept for what comes next, see `saliency.runtime.freed_memory`.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    keep_all()
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def run(words: Sequence[str]) -> int:
    """Run a command in this process.

    Args:
        words: its name and its options.

    Returns:
        The exit status.

    Raises:
        InputError: there is no such command, or the command's input is bad.
    """
    name = words[0]
    if name not in COMMANDS:
        if os.path.exists(name):  # noqa: PTH110  # before anything is imported
            raise InputError(f"'{name}' is no command but a file or folder; say what to do: saliency infer {name}")
        raise InputError(f"no command '{name}'{nearest(name, COMMANDS)}; 'saliency --help' lists them")
    module = importlib.import_module(f"saliency.commands.{name}")
    return int(module.main(list(words[1:])) or 0)


def exit_with(work: Callable[[], int | None], *, debug: bool = False) -> None:
    """Do `work` and exit with its status; what a user can mend is said in one line.

    Args:
        work: returns the exit status; None means 0.
        debug: also show where it was noticed.
    """
    stop_on_sigterm()
    try:
        status = work() or 0
        sys.stdout.flush()
    except BrokenPipeError:  # `saliency … | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except KeyboardInterrupt as error:
        if debug:
            traceback.print_exc()
        told = "; ".join([str(error) or "interrupted", *getattr(error, "__notes__", [])])
        sys.stderr.write(f"{' '.join(told.split())}\n")
        status = getattr(error, "exit_status", EXIT_INTERRUPTED)
    except Exception as error:
        words = explain(error)
        if words is None:
            raise
        if debug:
            traceback.print_exc()
        else:
            sys.unraisablehook = lambda _: None  # what falls with it, such as a loader of killed workers, is not news
        sys.stderr.write(f"error: {words}\n")
        status = EXIT_BAD_INPUT
    sys.exit(status)


def _print(text: str) -> int:
    sys.stdout.write(text)
    return 0
