"""One line of numbers for every video of a folder: `python examples/batch.py videos/ attention.csv`."""

import csv
import sys
from pathlib import Path

import numpy as np

import saliency
from saliency.errors import InputError
from saliency.io.sources import find_sources


def main(folder: str, out: str, every: int = 5) -> None:
    """Write how spread out the attention is in each video; what cannot be read is named and left out."""
    model = saliency.load_model()
    with Path(out).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["video", "frames", "entropy_bits", "confidence"])
        for path in find_sources([folder]):
            try:
                maps = list(model.predict(path, every=every, size="model"))
            except InputError as error:
                print(error)
                continue
            entropy = np.mean([-np.sum(map.values * np.log2(map.values + 1e-12)) for map in maps])
            trust = [map.confidence for map in maps if map.confidence is not None]
            table.writerow([path.name, len(maps), f"{entropy:.3f}", f"{np.mean(trust):.3f}" if trust else ""])
            print(f"{path.name}: {len(maps)} frames")


if __name__ == "__main__":
    main(*sys.argv[1:3])
