"""Where people look in every frame, as numpy arrays: `python examples/numpy_loop.py clip.mp4`."""

import sys

import numpy as np

import saliency


def main(path: str) -> None:
    """Print the most looked at pixel of every frame, and the share of all looks in the middle of the picture."""
    model = saliency.load_model()
    for map in model.predict(path):
        height, width = map.values.shape  # float32, of the video's size, sums to 1
        row, column = np.unravel_index(map.values.argmax(), map.values.shape)
        middle = map.values[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4].sum()
        print(f"frame {map.frame}, {map.time:.2f} s: x {column}, y {row}; {middle:.0%} in the middle")


if __name__ == "__main__":
    main(sys.argv[1])
