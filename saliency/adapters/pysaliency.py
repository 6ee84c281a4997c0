"""pysaliency both ways: a model as its `SaliencyMapModel`, its data sets as photographs of the project."""

import csv
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saliency.errors import InputError
from saliency.inference.model import Predicting
from saliency.io.atomic import replacing, write_atomic
from saliency.io.images import write_image

if TYPE_CHECKING:
    from pysaliency import Fixations, SaliencyMapModel, Stimuli

log = logging.getLogger(__name__)


def saliency_map_model(model: Predicting, **kwargs: Any) -> "SaliencyMapModel":
    """Return a model as pysaliency's: for its metrics, its conversions and its other models' company.

    Args:
        model: of `saliency.load_model` or `saliency.load_ensemble`.
        **kwargs: of `pysaliency.SaliencyMapModel`, such as ``caching=False``.

    Returns:
        A model whose maps are float64 of the stimulus' size and sum to 1. A stimulus is a still: a video model sees it
        as a video of this one frame.

    Raises:
        InputError: pysaliency is not here or cannot be imported.
    """
    try:
        from pysaliency import SaliencyMapModel
    except ImportError as error:
        raise InputError(
            f"pysaliency cannot be imported ({error}); pip install 'video-saliency[pysaliency]', "
            "which keeps setuptools below 82 for its sake"
        ) from error

    class OurModel(SaliencyMapModel):
        def _saliency_map(self, stimulus: np.ndarray) -> np.ndarray:
            return next(model.predict(as_picture(stimulus))).values.astype(np.float64)

    return OurModel(**kwargs)


def as_picture(stimulus: np.ndarray) -> np.ndarray:
    """Return a stimulus (H, W) or (H, W, 3 or 4), values in 0..255, as uint8 (H, W, 3); transparency is dropped.

    Raises:
        InputError: it has another shape, or values beyond 0..255.
    """
    values = np.asarray(stimulus)
    if values.ndim == 2:
        values = values[..., None].repeat(3, axis=2)
    if values.ndim != 3 or values.shape[2] not in (3, 4):
        raise InputError(f"a stimulus has shape {values.shape}; expected (H, W), (H, W, 3) or (H, W, 4)")
    if values.dtype != np.uint8:
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 255):
            raise InputError(f"a stimulus has values from {values.min()} to {values.max()}; expected 0 to 255")
        values = np.rint(values).astype(np.uint8)
    return np.ascontiguousarray(values[..., :3])


def write_photographs(stimuli: "Stimuli", fixations: "Fixations", folder: str | Path, *, split: str = "test") -> Path:
    """Write a data set of pysaliency in the form that `saliency.datasets.stills` reads.

    ``saliency evaluate --data FOLDER`` and ``saliency train --data FOLDER`` then know it. Photographs without a
    fixation are left out; fixations beyond the picture stay in the file and are no looks, as everywhere in the project.

    Args:
        stimuli: the photographs.
        fixations: of them; pixel 0 reaches from 0 to 1, times are seconds, as pysaliency keeps them.
        folder: made if missing; must be empty.
        split: which all photographs belong to.

    Returns:
        The folder.

    Raises:
        InputError: the folder holds something, the split is unknown, or the fixations belong to other stimuli.
    """
    folder, numbers = Path(folder), np.asarray(fixations.n, dtype=np.int64)
    if split not in ("train", "val", "test"):
        raise InputError(f"'{split}' is no split; use train, val or test")
    if len(numbers) == 0 or numbers.min() < 0 or numbers.max() >= len(stimuli):
        raise InputError(f"the fixations do not belong to these {len(stimuli)} stimuli")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder}: holds something already; choose another folder")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    used = np.unique(numbers)
    if len(used) < len(stimuli):
        log.warning("%d of %d photographs have no fixation and are left out", len(stimuli) - len(used), len(stimuli))
    rows = []
    objects: Any = stimuli.stimulus_objects
    for number in used:
        picture = as_picture(objects[int(number)].stimulus_data)
        rows.append((f"{number:05d}.png", picture.shape[1], picture.shape[0]))
        write_image(folder / "images" / rows[-1][0], picture)
    names = [name for name, _, _ in rows]
    _write_csv(folder / "images.csv", [("image", "width", "height"), *rows])
    _write_csv(folder / "split.csv", [("image", "split"), *((name, split) for name in names)])
    durations = 1000 * np.asarray(getattr(fixations, "durations", np.full(len(numbers), np.nan)), dtype=np.float32)
    with replacing(folder / "fixations.npz") as temporary:
        np.savez_compressed(
            temporary,
            images=np.array(names),
            image=np.searchsorted(used, numbers),
            viewer=np.asarray(fixations.subjects, dtype=np.int64),
            order=np.asarray(fixations.lengths, dtype=np.int64),
            x=np.asarray(fixations.x, dtype=np.float32) - np.float32(0.5),  # centres at whole numbers there
            y=np.asarray(fixations.y, dtype=np.float32) - np.float32(0.5),
            duration_ms=durations,
        )
    return folder


def _write_csv(path: Path, rows: list[tuple[object, ...]]) -> None:
    with write_atomic(path) as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
