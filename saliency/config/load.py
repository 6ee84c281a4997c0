"""Reading a run from a config file: a Python file with a function `config()`, or a resolved JSON dump.

A Python config is a program: it is run when it is read, with all rights of whoever reads it. Take configs only from
people whose programs you would run; a JSON dump runs nothing.
"""

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import saliency
from saliency.config.run import Run
from saliency.errors import InputError, nearest
from saliency.io.serial import loads

FUNCTION, VARIANTS = "config", "VARIANTS"
_OWN_DATA = "to train on a folder of your own: saliency train --data FOLDER"
CONFIGS = Path(saliency.__file__).parent / "configs"
"""Where the configs of the project are, in a checkout and in an installed package alike."""


def load_run(path: str | Path) -> Run:
    """Return the run that a config file describes.

    Args:
        path: name of a config that comes with the project, such as ``mini_tmfi_vinet``; a ``.py`` file whose function
            ``config()`` returns a `Run`; or the ``config.json`` of a run folder. ``:VARIANT`` behind a name or a
            ``.py`` file asks for one of the variants that the file lists as ``VARIANTS``; without it the first.

    Raises:
        InputError: there is no such file or variant, or it does not hold a run.
    """
    path, variant = _find(path)
    if path.suffix == ".json":
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is no text in UTF-8 ({error.reason} at byte {error.start})") from error
        run = loads(text, str(path))
    elif path.suffix == ".py":
        run = _call(path, variant)
    else:
        raise InputError(f"{path} is no config, which is a .py file or a .json dump of one; {_OWN_DATA}")
    if not isinstance(run, Run):
        raise InputError(f"{path} holds a {type(run).__name__}, not a Run")
    return run


def list_configs() -> list[str]:
    """Return the names of the configs that come with the project."""
    return sorted(path.stem for path in CONFIGS.glob("*.py"))


def variants(path: str | Path) -> tuple[str, ...]:
    """Return the variants of a config, the default first; none where it has only one form."""
    return tuple(getattr(_import(_find(path)[0]), VARIANTS, ()))


def _find(path: str | Path) -> tuple[Path, str]:
    """Return the file that a name or path means, and the variant behind it ("" if none is asked for)."""
    if Path(path).is_file():
        return Path(path), ""
    name, _, variant = str(path).partition(":")
    path = Path(name)
    if path.is_file():
        return path, variant
    if path.is_dir() and not (path.parent == Path() and (CONFIGS / f"{path.name}.py").is_file()):
        raise InputError(f"{path} is a folder, no config; {_OWN_DATA}")
    if path.suffix == "" and path.parent == Path():
        named = CONFIGS / f"{path.name}.py"
        if named.is_file():
            return named, variant
        known = list_configs()
        raise InputError(f"there is no config '{path}'{nearest(path.name, known)}; known: {', '.join(known)}")
    known = [str(p) for p in sorted(path.parent.glob("*.py"))] if path.parent.is_dir() else []
    raise InputError(f"there is no config file {path}{nearest(str(path), known)}")


def _call(path: Path, variant: str) -> object:
    module = _import(path)
    function = getattr(module, FUNCTION, None)
    if not callable(function):
        raise InputError(f"{path} has no function {FUNCTION}() that returns a Run")
    known = tuple(getattr(module, VARIANTS, ()))
    if variant and variant not in known:
        raise InputError(
            f"{path.stem} has no variant '{variant}'{nearest(variant, known)}; known: {', '.join(known) or 'none'}"
        )
    with _errors_in(path):
        return function(variant) if variant else function()


def _import(path: Path) -> ModuleType:
    name = f"saliency_config_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses defined in a config file look their module up
    with _errors_in(path):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _errors_in(path: Path) -> Iterator[None]:
    """Say in which line of a config file an error is.

    Raises:
        InputError: the file, the line and what is wrong there.
    """
    try:
        yield
    except SyntaxError as error:
        raise InputError(f"{error.filename or path}, line {error.lineno}: {error.msg}; mend the config") from error
    except Exception as error:
        here = path.resolve()
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).resolve() == here]
        where = f"{path}, line {lines[-1]}" if lines else str(path)
        told = " ".join(str(error).split())
        if not isinstance(error, ValueError):
            told = f"{type(error).__name__}: {told}"
        raise InputError(f"{where}: {told}; mend the config") from error
