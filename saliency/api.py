"""The functions behind `import saliency`: load a model, predict, score, evaluate, train."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from saliency.errors import InputError
from saliency.inference.density import Map, Size
from saliency.inference.live import Live
from saliency.inference.model import Maps, Model, ModelMean, load_ensemble, load_model
from saliency.inference.zoo import list_models as _entries
from saliency.io.frame_source import FrameSource
from saliency.io.sources import Source, open_source
from saliency.io.transforms import resize_map
from saliency.metrics import frame as metric_table

__all__ = [
    "Live",
    "Map",
    "Maps",
    "Model",
    "ModelMean",
    "evaluate",
    "list_metrics",
    "list_models",
    "load_ensemble",
    "load_model",
    "open_video",
    "predict",
    "score",
    "train",
]

Array = np.ndarray | Tensor
"""What `score` takes: numpy or torch."""


def list_models() -> list[str]:
    """Return the names that `load_model` takes, the default one first.

    Example:
        >>> import saliency
        >>> "tmfi_net" in saliency.list_models()
        True
    """
    return [entry.name for entry in _entries()]


def list_metrics() -> list[str]:
    """Return the names of the metrics that `score` knows.

    Example:
        >>> import saliency
        >>> saliency.list_metrics()[:3]
        ['cc', 'nss', 'auc_judd']
    """
    return list(metric_table.METRICS)


def open_video(source: Source, *, fps: float | None = None, allow_network: bool = False) -> FrameSource:
    """Open a video file, an image, a folder of images, an array, a camera or a stream; a context manager.

    Args:
        source: what `Model.predict` takes.
        fps: frame rate of arrays, lists and folders of images; default 30.
        allow_network: whether an address may be opened.

    Returns:
        The frames: ``len(video)``, ``video.size`` (H, W), ``video.fps``, ``video.read([0, 5])`` uint8 (n, H, W, 3) RGB,
        ``video.iterate()`` frame by frame. Frame i is exactly the i-th picture of the file.

    Raises:
        InputError: there is no such file, or it is no video.
    """
    return open_source(source, fps=fps, allow_network=allow_network)


def predict(
    source: Source,
    model: Model | ModelMean | str | Path | None = None,
    *,
    every: int = 1,
    batch_size: int | None = None,
    size: Size = "source",
    allow_network: bool = False,
) -> Maps:
    """Return the maps of a video: `load_model` and `Model.predict` in one call.

    Args:
        source: what `Model.predict` takes.
        model: a loaded model (or the mean of several), or what `load_model` takes.
        every: predict each `every`-th frame only, from the first on.
        batch_size: clips computed at once; lower it when memory runs out.
        size: of the maps: that of the source, the one the model computes, or (H, W).
        allow_network: whether an address may be opened.

    Raises:
        InputError: as `load_model` and `Model.predict`.

    Example:
        >>> import saliency
        >>> for map in saliency.predict("clip.mp4"):  # doctest: +SKIP
        ...     print(map.frame, map.time, map.values.max())
    """
    loaded = model if isinstance(model, Model | ModelMean) else load_model(model)
    return loaded.predict(source, every=every, batch_size=batch_size, size=size, allow_network=allow_network)


def score(
    pred: Array,
    density: Array | None = None,
    fixations: Array | Sequence[Array] | None = None,
    metrics: Iterable[str] | None = None,
    *,
    others: Array | Sequence[Array] | None = None,
    baseline: Array | None = None,
) -> dict[str, float] | dict[str, np.ndarray]:
    """Score saliency maps against what people looked at.

    Args:
        pred: predicted map (H, W), or a batch of them (B, H, W); of any scale, and of any size: it is brought to the
            size of the ground truth by bilinear interpolation (half-pixel centres).
        density: ground-truth saliency map, (H, W) or (B, H, W), for ``cc``, ``sim`` and ``kld``.
        fixations: where people looked, for ``nss`` and the AUCs: a map of the ground truth's size, every pixel above 0
            is one fixation; or a list with an (M, 2) integer array of (row, column) for each map.
        metrics: names of `list_metrics`; default: the usual ones that the ground truth allows.
        others: fixations of other frames, for ``auc_shuffled``.
        baseline: density map of a baseline, for ``information_gain``.

    Returns:
        Name -> float for one map; name -> float64 array (B,) for a batch. NaN: the ground truth of that frame is
        unusable for the metric (nobody looked).

    Raises:
        InputError: no ground truth, an unknown metric, one whose ground truth is missing, or shapes that do not fit.

    Example:
        >>> import numpy as np, saliency
        >>> pred = np.array([[0.1, 0.4], [0.3, 0.9]])
        >>> saliency.score(pred, fixations=np.array([[0, 0], [1, 1]]), metrics=["auc"])
        {'auc': 0.75}
    """
    maps = _tensor(pred, "pred")
    if maps.ndim not in (2, 3):
        raise InputError(f"pred has shape {tuple(maps.shape)}; give one map (H, W) or a batch (B, H, W)")
    single = maps.ndim == 2
    given = {
        "density": None if density is None else _tensor(density, "density"),
        "fixations": None if fixations is None else _points(fixations, "fixations", single=single),
        "others": None if others is None else _points(others, "others", single=single),
        "baseline": None if baseline is None else _tensor(baseline, "baseline"),
    }
    size = next(((value.shape[-2], value.shape[-1]) for value in given.values() if isinstance(value, Tensor)), None)
    if size is not None and tuple(maps.shape[-2:]) != size:
        maps = resize_map(maps.float() if not maps.is_floating_point() else maps, size)
    if metrics is None:
        table = metric_table.METRICS
        metrics = [m for m in metric_table.STANDARD if all(given[need] is not None for need in table[m].needs)]
        if not metrics:
            raise InputError("score needs ground truth: pass density=, fixations= or both")
    values = metric_table.score(maps, **given, names=metrics)
    if single:
        return {name: float(value[0]) for name, value in values.items()}
    return {name: value.cpu().numpy() for name, value in values.items()}


def evaluate(
    models: Model | str | Path | Mapping[str, Model | str | Path],
    data: str | Path = "mini",
    *,
    split: str | None = None,
    protocol: str = "canonical",
    every: int = 1,
    out: str | Path | None = None,
) -> Mapping[str, Mapping[str, float | None]]:
    """Score models on a data set.

    Args:
        models: a model, what `load_model` takes, or several by name.
        data: a data set by name (``mini``, ``dhf1k``, …) or a folder of your own, see docs/datasets.md.
        split: of the data set; None takes its usual one.
        protocol: how numbers are made, see docs/protocol.md.
        every: score every n-th frame only.
        out: folder that keeps results per frame and per video; None keeps nothing.

    Returns:
        Name of the model -> metric -> mean; None where a metric is undefined.

    Raises:
        InputError: a model, the data set, the split or the protocol cannot be had.
    """
    from saliency.data.trained_on import trained_on
    from saliency.evaluation.baselines import ModelPredictor, settled_for
    from saliency.evaluation.dataset_run import evaluate_dataset
    from saliency.evaluation.protocols import protocol_named
    from saliency.evaluation.settings import EvaluationSettings
    from saliency.preparation.picking import choose

    named = models if isinstance(models, Mapping) else {"": models}
    loaded = {name: m if isinstance(m, Model) else load_model(m) for name, m in named.items()}
    chosen = choose(str(data), split=split)
    videos = chosen.videos()
    predictors = [
        ModelPredictor(
            name=name or model.name,
            engine=engine,
            metadata={"weights": model.name, "sha256": model.sha256, **engine.compute.facts()},
            trained_on=trained_on(model.metadata),
        )
        for name, model in loaded.items()
        for engine in [settled_for(model.engine.viewing(chosen.data.view(model.input)), videos)]
    ]
    with tempfile.TemporaryDirectory() as scratch:
        settings = EvaluationSettings(protocol=protocol_named(protocol), every=every, dataset=chosen.title)
        results = evaluate_dataset(predictors, videos, out or scratch, settings)
    assert results is not None  # only processes of torchrun other than the first get none
    return {result.name: result.means() for result in results}


def train(config: str | Path, *overrides: str, out: str | Path | None = None, resume: bool = False) -> Path:
    """Train the models of a config.

    Args:
        config: name of a config of the project (``mini_tmfi_vinet``), a ``.py`` file with a function ``config()``, or
            the ``config.json`` of a run.
        *overrides: changes of the config, such as ``"train.batch_size=8"``.
        out: folder of the run; default ``runs/NAME``.
        resume: go on with what the folder holds.

    Returns:
        The folder of the run, with the best weights of each learner as ``STAGE/LEARNER.safetensors``.

    Raises:
        InputError: the config or an override is wrong, or the folder holds another run.
    """
    from saliency.config import overrides as changes
    from saliency.config.load import load_run
    from saliency.report.run_page import write_run_pages
    from saliency.training.seeds import train_seeds

    run = changes.apply(load_run(config), overrides)
    folder = Path(out) if out is not None else Path("runs") / run.name
    train_seeds(run, folder, resume=resume)
    write_run_pages(run, folder)
    return folder


def _tensor(values: Array, name: str) -> Tensor:
    """A tensor of what numpy or torch gave."""
    if isinstance(values, Tensor):
        return values
    try:
        array = np.asarray(values)
        return torch.from_numpy(np.ascontiguousarray(array))
    except TypeError as error:
        raise InputError(f"{name} is {type(values).__name__}; give a numpy array or torch tensor of numbers") from error


def _points(points: Array | Sequence[Array], name: str, *, single: bool) -> Tensor | list[Tensor]:
    """Fixation maps as a tensor, lists of points as a list of tensors."""
    if not isinstance(points, np.ndarray | Tensor):
        return [_tensor(each, f"{name}[{i}]").reshape(-1, 2) for i, each in enumerate(points)]
    found = _tensor(points, name)
    if found.ndim != (2 if single else 3):
        raise InputError(
            f"{name} has shape {tuple(found.shape)}; give a map for each prediction, or a list with an (M, 2) array of "
            "(row, column) for each"
        )
    return found
