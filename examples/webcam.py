"""Live from a camera: `python examples/webcam.py 0`, or of any video file in its place; Ctrl-C ends it."""

import itertools
import sys

import numpy as np

import saliency

BARS = " ▁▂▃▄▅▆▇█"


def main(source: str, seconds: float = 60, parts: int = 24) -> None:
    """Print a line of bars for every frame: how the looks are shared out from left to right."""
    live = saliency.load_model().live(size="model")
    with saliency.open_video(int(source) if source.isdigit() else source) as video:
        frames = round(seconds * video.fps)
        for frame in itertools.islice(video.iterate(), frames):
            map = live.push(frame)  # the map of this frame: nothing is waited for
            shares = np.array([part.sum() for part in np.array_split(map.values, parts, axis=1)])
            levels = np.ceil(shares / shares.max() * (len(BARS) - 1)).astype(int)
            print(f"{map.time:6.2f} s |{''.join(BARS[level] for level in levels)}|", flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "0")
