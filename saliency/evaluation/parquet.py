"""The scores of all frames as Parquet, for those who load them into a data frame; needs pyarrow."""

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from saliency.errors import InputError
from saliency.evaluation.result import FLAGS, Result
from saliency.io.atomic import replacing

PARQUET_FILE = "frames.parquet"


def require() -> None:
    """Refuse early where the file could not be written.

    Raises:
        InputError: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise InputError("Parquet needs pyarrow, which is not installed; pip install 'video-saliency[parquet]'")


def write(result: Result, folder: str | Path) -> Path:
    """Write `frames.parquet` with the columns of `frames.csv`, an undefined score as null, and return its path.

    Raises:
        InputError: pyarrow is not installed.
    """
    require()
    pyarrow: Any = importlib.import_module("pyarrow")
    rows = result.rows
    columns: dict[str, Any] = {
        "video": pyarrow.array([row.video for row in rows], pyarrow.string()),
        "frame": pyarrow.array([row.frame for row in rows], pyarrow.int32()),
    }
    for metric in result.protocol.metrics:
        values = np.array([row.scores[metric] for row in rows], dtype=np.float64)
        columns[metric] = pyarrow.array(values, mask=np.isnan(values))
    for flag in FLAGS:
        columns[flag] = pyarrow.array([row.flags[flag] for row in rows], pyarrow.int32())
    columns["truth"] = pyarrow.array([row.truth for row in rows], pyarrow.int64())
    path = Path(folder) / PARQUET_FILE
    with replacing(path) as unfinished:
        importlib.import_module("pyarrow.parquet").write_table(pyarrow.table(columns), unfinished)
    return path
