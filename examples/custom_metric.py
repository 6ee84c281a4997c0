"""Score the default model on a folder of your own, with a metric of yours: `python examples/custom_metric.py my/`."""

import sys
from pathlib import Path

import numpy as np

import saliency
from saliency.datasets.folder import Folder


def hits(pred: np.ndarray, fixations: np.ndarray, share: float = 0.1) -> float:
    """Share of the fixations that fall on the highest `share` of the pixels of a map.

    Args:
        pred: map (H, W).
        fixations: bool (H, W).
        share: of the pixels.
    """
    return float((pred[fixations] > np.quantile(pred, 1 - share)).mean())


def main(root: str, every: int = 4) -> None:
    """Print a line for each video: the metric above beside those that come with the project."""
    model = saliency.load_model()
    for video in Folder(root=Path(root)).videos("test"):
        rows = []
        for map in model.predict(video.path, every=every):
            fixations = video.fixations(map.frame)
            if fixations.any():
                known = saliency.score(map.values, video.density(map.frame), fixations, metrics=["cc", "nss"])
                rows.append([hits(map.values, fixations), known["cc"], known["nss"]])
        mean = np.mean(rows, axis=0)
        print(f"{video.id}: hits {mean[0]:.2f}, CC {mean[1]:.3f}, NSS {mean[2]:.3f} ({len(rows)} frames)")


if __name__ == "__main__":
    main(sys.argv[1])
