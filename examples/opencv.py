"""Frames from OpenCV in, a painted film by OpenCV out: `python examples/opencv.py clip.mp4 painted.mp4`."""

import sys
from collections.abc import Iterator

import cv2
import numpy as np

import saliency
from saliency.inference.overlay import Overlay
from saliency.io.transforms import resize_map


class Captured:
    """What a predictor asks of a source, read from a `cv2.VideoCapture`; frames wait here for their maps."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self.capture, self.waiting = capture, dict[int, np.ndarray]()
        self.size = (int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)))

    def __len__(self) -> int:
        return int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT))

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield the frames as they come; OpenCV's order of colours is BGR, a model's RGB."""
        while self.capture.grab():
            self.waiting[start] = self.capture.retrieve()[1][..., ::-1].copy()
            yield self.waiting[start]
            start += 1


if __name__ == "__main__":
    film = Captured(cv2.VideoCapture(sys.argv[1]))
    rate, code = film.capture.get(cv2.CAP_PROP_FPS), cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(sys.argv[2], code, rate, film.size[::-1])
    for number, small in saliency.load_model().predictor().maps(film):
        writer.write(Overlay().paint(film.waiting.pop(number), resize_map(small, film.size).numpy())[..., ::-1])
    writer.release()
