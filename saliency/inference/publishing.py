"""A model as a folder to hand on: its weights, a page generated from its card, and the notices that belong to it.

Such a folder is what a repository of the model hub (huggingface.co) holds; `saliency.load_model` takes either.
"""

import shutil
import tempfile
from pathlib import Path

from saliency.backbones.hub import hub
from saliency.errors import InputError
from saliency.inference.card import Card, card_of, score_table
from saliency.inference.zoo import BUNDLED
from saliency.io.atomic import write_atomic
from saliency.io.weights import SUFFIXES, LoadedModel, save_model

PAGE = "README.md"


def save_folder(folder: Path, name: str, loaded: LoadedModel, *, repository: str = "") -> None:
    """Write ``NAME.safetensors`` and ``README.md``, and the notices if the weights are those of the project.

    Args:
        folder: made if missing; files of an earlier call are replaced.
        name: of the model.
        loaded: the model and what was saved with it.
        repository: ``user/name`` of the hub that the folder is for; empty: none.

    Raises:
        InputError: the folder holds other weights, or cannot be written to.
    """
    file = folder / f"{name}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = sorted(path.name for path in folder.iterdir() if path.suffix in SUFFIXES and path.name != file.name)
        if others:
            raise InputError(f"{folder}: holds {others[0]} already; a folder holds one model, choose another")
        save_model(file, loaded.model, loaded.config, loaded.metadata)
        card = card_of(loaded.metadata, name)
        if card is not None and (notices := BUNDLED / f"{card.name}.md").is_file():
            shutil.copyfile(notices, folder / notices.name)
        with write_atomic(folder / PAGE) as page:
            page.write(model_page(name, card, repository or folder.name))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror}); choose another folder") from error


def push_folder(repository: str, name: str, loaded: LoadedModel, *, private: bool) -> str:
    """Upload what `save_folder` writes to the model hub, and return its address there.

    Args:
        repository: ``user/name``; made if missing.
        name: of the model.
        loaded: the model and what was saved with it.
        private: whether a new repository is seen by its owner alone.

    Raises:
        InputError: huggingface_hub is not here, the hub cannot be reached, or it refuses.
    """
    with tempfile.TemporaryDirectory() as scratch, hub():
        from huggingface_hub import HfApi
        from huggingface_hub.constants import HF_HUB_OFFLINE

        if HF_HUB_OFFLINE:
            raise InputError(
                f"{repository}: huggingface.co cannot be reached; save_pretrained(folder) needs no network"
            )
        save_folder(Path(scratch), name, loaded, repository=repository)
        try:
            api = HfApi()
            address = api.create_repo(repository, private=private, exist_ok=True)
            api.upload_folder(repo_id=repository, folder_path=scratch, commit_message=f"{name}, by video-saliency")
        except Exception as error:  # its library has a dozen kinds, some of which have no common base
            said = str(error).strip().partition("\n")[0]
            raise InputError(
                f"{repository}: was not uploaded to huggingface.co ({type(error).__name__}: {said}); check the name, "
                "the network and `hf auth login`"
            ) from error
    return str(address)


def model_page(name: str, card: Card | None, place: str) -> str:
    """Return the page of a model as Markdown with the header that the hub reads.

    Args:
        name: of the model.
        card: what its weights say; None: nothing.
        place: what `saliency.load_model` is to be given: ``user/name``, or the folder.
    """
    head = ["---", "library_name: video-saliency", "tags: [saliency, eye-tracking, visual-attention, video]"]
    if card is not None:
        free = card.licences.get("weights", "").startswith("Apache-2.0")
        head.append(f"license: {'apache-2.0' if free else 'other'}")
    parts = ["\n".join([*head, "---"]), f"# {name}"]
    if card is None:
        parts.append("Where people look in videos. The weights do not say what they learned from; ask who gave them.")
    else:
        parts.append(card.about)
    parts.append(
        "```python\nimport saliency  # pip install 'video-saliency[hub]'\n\n"
        f'for map in saliency.predict("clip.mp4", model="{place}"):\n'
        "    print(map.time, map.values.shape)  # (H, W) float32, sums to 1\n```"
    )
    return "\n\n".join([*parts, *([] if card is None else _sections(card))]) + "\n"


def _sections(card: Card) -> list[str]:
    """What a card says, a heading and its text in turns."""
    rows = [
        f"| {data.name} | {data.photographs:,} | {data.viewers} | {data.fixations:,} | {data.licence} |"
        for data in card.learned_from
    ]
    table = ["| data | photographs | viewers, at most | fixations | licence |", "|---|---:|---:|---:|---|", *rows]
    return [
        "## Good for",
        _listed(card.good_for),
        "## Not for",
        _listed(card.not_for),
        "## Learned from",
        "\n".join(table),
        _listed([f"{what}: {how}" for what, how in card.training.items()]),
        "## Licences",
        _listed([f"{what}: {licence}" for what, licence in card.licences.items()]),
        "## Scores",
        f"Protocol: {card.protocol}. Means over frames, 95 % bootstrap intervals over photographs.",
        score_table(card.scores).rstrip(),
        "## How to cite",
        f"These weights: {card.name}, version {card.version}, The video-saliency developers. What they learned from:",
        _listed([data.citation for data in card.learned_from]),
    ]


def _listed(lines: list[str] | tuple[str, ...]) -> str:
    return "\n".join(f"- {line}" for line in lines)
