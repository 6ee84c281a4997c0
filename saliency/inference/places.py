"""Where weights may be besides a file: the folder of a run, a repository of the model hub."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from saliency.backbones.hub import hub
from saliency.errors import InputError
from saliency.io.serial import upgraded
from saliency.io.weights import SUFFIXES

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_LISTED = 6


def weights_in(folder: Path) -> Path:
    """Return the weights file of a run's folder, or of any folder that holds just one.

    Of a run the last stage counts that has weights.

    Args:
        folder: of ``saliency train``, or of weights.

    Raises:
        InputError: there is no weights file, or there are several.
    """
    config = folder / "config.json"
    stages, learners = _run(config) if config.is_file() else ((), ())
    for stage in reversed(stages):
        found = [path for name in learners if (path := folder / stage / f"{name}.safetensors").is_file()]
        if found:
            return _only(found, folder)
    found = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())
    if not found:
        raise InputError(f"{folder}: a folder without weights; name a weights file, or the folder of a finished run")
    return _only(found, folder)


def is_hub_name(name: str) -> bool:
    """Whether a text can only be meant as ``user/name`` of the model hub, and not as a path of this machine."""
    path = Path(name)
    return bool(_HUB_NAME.fullmatch(name)) and path.suffix not in SUFFIXES and not path.parent.exists()


def weights_from_hub(name: str) -> Path:
    """Return the weights file of a repository on huggingface.co, downloaded once and kept by its library.

    Args:
        name: ``user/name``.

    Raises:
        InputError: huggingface_hub is not installed, there is no such repository, the hub cannot be reached, or the
            repository does not hold exactly one weights file.
    """
    with hub():
        from huggingface_hub import hf_hub_download, snapshot_download
        from huggingface_hub.constants import HF_HUB_OFFLINE

        try:
            if HF_HUB_OFFLINE:  # what was downloaded before
                return weights_in(Path(snapshot_download(name, local_files_only=True)))
            return Path(hf_hub_download(name, _only_name(name)))
        except InputError:
            raise
        except Exception as error:  # its library has a dozen kinds, some of which have no common base
            said = str(error).strip().partition("\n")[0]
            raise InputError(
                f"{name}: no file or folder here, and its weights could not be had from huggingface.co "
                f"({type(error).__name__}: {said}); check the name and the network, or download the file and name it"
            ) from error


def _only_name(name: str) -> str:
    from huggingface_hub import HfApi

    files = [file for file in HfApi().list_repo_files(name) if Path(file).suffix in SUFFIXES]
    safe = [file for file in files if file.endswith(".safetensors")] or files
    if len(safe) != 1:
        raise InputError(f"{name}: holds {len(safe)} weights files where one is expected; download one and name it")
    return safe[0]


def _run(config: Path) -> tuple[list[str], list[str]]:
    """The names of the stages and of the learners of a run."""
    try:
        content = upgraded(json.loads(config.read_text(encoding="utf-8")))
        return [stage["name"] for stage in content["stages"]], list(content["learners"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{config}: cannot be read as that of a run; name a weights file instead") from error


def _only(files: Sequence[Path], folder: Path) -> Path:
    if len(files) > 1:
        names = ", ".join(map(str, files[:_LISTED])) + (" …" if len(files) > _LISTED else "")
        raise InputError(f"{folder}: holds {len(files)} models; name one of {names}")
    return files[0]
