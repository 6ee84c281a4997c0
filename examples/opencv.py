"""Frames from OpenCV in, a painted film by OpenCV out: `python examples/opencv.py clip.mp4 painted.mp4`."""

import sys

import cv2

import saliency
from saliency.inference.overlay import Overlay


def main(path: str, out: str) -> None:
    """Paint each frame as it comes; `cv2.VideoCapture(0)` in place of the path is a camera."""
    capture = cv2.VideoCapture(path)
    size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    writer = cv2.VideoWriter(out, cv2.VideoWriter.fourcc(*"mp4v"), capture.get(cv2.CAP_PROP_FPS), size)
    live, painter = saliency.load_model().live(), Overlay()
    while capture.grab():
        frame = cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)  # OpenCV's order of colours is another
        map = live.push(frame)  # the map of this frame: nothing is waited for
        painted = painter.paint(frame, map.values)
        writer.write(cv2.cvtColor(painted, cv2.COLOR_RGB2BGR))
    writer.release()
    capture.release()


if __name__ == "__main__":
    main(*sys.argv[1:3])
