"""Look at the default model beside the model of simulated videos: `python benchmarks/gallery.py`.

Writes a picture for each scene into runs/gallery/ (which is never committed): in each row a frame, what the default
model says of it, what the other says. The scenes are drawn here: a screen recording, a cartoon, a dark street, a clip
in portrait format, a field with a small ball. With scikit-image (`pip install scikit-image`) there are also the
public-domain photographs that come with it, and a pan over one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro
from PIL import Image

import saliency
from saliency.commands.main import exit_with
from saliency.data.motions import cover, draw_poses
from saliency.inference.model import Model
from saliency.inference.overlay import Overlay, side_by_side

PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "rocket", "hubble_deep_field")
"""Of scikit-image: NASA, the public domain or CC0, as its documentation says."""

SHOWN = (0, 10, 19)
"""Frames of a clip that a picture shows."""
COUNT = 20
"""Frames of a clip."""

Frames = np.ndarray
"""uint8 (T, H, W, 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """What to look at.

    Attributes:
        out: folder of the pictures.
        weights: the model on the left; default: the default model.
        other: the model on the right.
    """

    out: Path = Path("runs/gallery")
    weights: str | None = None
    other: str = "mini_vinet_a"


def main() -> int:
    """Write the pictures."""
    chosen = tyro.cli(Gallery, description=__doc__)
    models = [saliency.load_model(chosen.weights), saliency.load_model(chosen.other)]
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name, frames in scenes():
        path = chosen.out / f"{name}.png"
        Image.fromarray(sheet(frames, models)).save(path)
        print(f"{path}: {describe(frames, models[0])}")
    return 0


def sheet(frames: Frames, models: list[Model]) -> np.ndarray:
    """Return rows of frame, first model, second model."""
    paint = Overlay()
    maps = [[map.values for map in model.predict(frames)] for model in models]
    chosen = [i for i in SHOWN if i < len(frames)]
    rows = [side_by_side(frames[i], *(paint.paint(frames[i], own[i]) for own in maps)) for i in chosen]
    return np.concatenate(rows)


def describe(frames: Frames, model: Model) -> str:
    """Return how far the model trusts itself."""
    judge = model.judge
    if judge is None:
        return "no calibration"
    strange = judge.strangeness(frames[:1])[0]
    (first,) = model.predict(frames[:1], size="model")
    return f"confidence {judge.confidence(first.values):.2f} bits, strangeness {strange:.2f}"


def scenes() -> Iterator[tuple[str, Frames]]:
    """Yield names and frames."""
    drawn: dict[str, Callable[[int], np.ndarray]] = {
        "screen": screen, "cartoon": cartoon, "dark": dark, "portrait": portrait, "ball": ball,
    }  # fmt: skip
    for name, draw in drawn.items():
        yield name, np.stack([draw(i) for i in range(COUNT)])
    try:
        from skimage import data
    except ImportError:
        print("without scikit-image there are no photographs; pip install scikit-image")
        return
    for name in PHOTOGRAPHS:
        try:
            picture = np.asarray(getattr(data, name)(), dtype=np.uint8)
        except Exception as error:  # some are downloaded on first use
            print(f"{name}: left out ({error})")
            continue
        picture = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture[..., :3]
        yield name, picture[None]
        if name == "astronaut":
            yield f"{name}_pan", pan(picture)
            yield f"{name}_dark", np.round(picture[None] * 0.06).astype(np.uint8)


def pan(picture: np.ndarray) -> Frames:
    """Move a camera over a photograph."""
    size = (240, 320)
    kept = cover(picture, size)
    random = np.random.default_rng(3)
    poses = draw_poses("pan", (kept.shape[0], kept.shape[1]), size, COUNT, fps=10, random=random)
    return np.stack([pose.show(kept, size) for pose in poses])


def screen(i: int) -> np.ndarray:
    """A window with lines of text, a button, and a pointer that moves to it."""
    frame = np.full((360, 640, 3), (58, 110, 165), np.uint8)
    cv2.rectangle(frame, (60, 40), (580, 320), (250, 250, 250), -1)
    cv2.rectangle(frame, (60, 40), (580, 66), (70, 70, 78), -1)
    cv2.putText(frame, "Quarterly figures", (72, 59), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    for k in range(8):
        text = "The sum of all items in column B was checked twice."[: 51 - 3 * (k % 3)]
        cv2.putText(frame, text, (84, 98 + 22 * k), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    cv2.rectangle(frame, (460, 280), (560, 308), (40, 130, 80), -1)
    cv2.putText(frame, "Save", (490, 299), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    x, y = round(120 + 18 * i), round(110 + 9.3 * i)
    pointer = np.add([(0, 0), (0, 18), (5, 14), (12, 14)], (x, y))
    cv2.fillPoly(frame, [pointer.astype(np.int32)], (10, 10, 10), cv2.LINE_AA)
    return frame


def cartoon(i: int) -> np.ndarray:
    """A flat figure with a face that waves, before a house and the sun."""
    frame = np.full((360, 640, 3), (150, 205, 240), np.uint8)
    cv2.rectangle(frame, (0, 250), (640, 360), (120, 190, 90), -1)
    cv2.circle(frame, (560, 60), 34, (255, 220, 60), -1, cv2.LINE_AA)
    cv2.rectangle(frame, (60, 150), (220, 262), (205, 90, 70), -1)
    cv2.fillPoly(frame, [np.array([(45, 150), (140, 80), (235, 150)], np.int32)], (120, 60, 50), cv2.LINE_AA)
    cv2.rectangle(frame, (120, 200), (160, 262), (90, 60, 40), -1)
    person(frame, (420, 140), 44, np.sin(0.6 * i))
    return frame


def person(frame: np.ndarray, head: tuple[int, int], radius: int, wave: float) -> None:
    """Draw a figure of flat colours with its head there."""
    x, y = head
    shirt = (225, 120, 40)
    cv2.rectangle(frame, (x - radius, y + radius), (x + radius, y + 3 * radius), shirt, -1)
    hand = (round(x + 2.2 * radius), round(y + radius * (0.6 - wave)))
    cv2.line(frame, (x + radius - 6, y + radius + 12), hand, shirt, radius // 3, cv2.LINE_AA)
    cv2.circle(frame, hand, radius // 4, (245, 205, 170), -1, cv2.LINE_AA)
    cv2.circle(frame, head, radius, (245, 205, 170), -1, cv2.LINE_AA)
    for side in (-1, 1):
        cv2.circle(frame, (x + side * radius // 3, y - radius // 6), radius // 8, (30, 30, 40), -1, cv2.LINE_AA)
    cv2.ellipse(frame, (x, y + radius // 4), (radius // 3, radius // 4), 0, 15, 165, (150, 40, 40), 3, cv2.LINE_AA)


def dark(i: int) -> np.ndarray:
    """A street at night: two windows, and a walker who can hardly be seen."""
    frame = np.full((360, 640, 3), 6, np.uint8)
    cv2.rectangle(frame, (0, 280), (640, 360), (12, 12, 13), -1)
    for x in (90, 180):
        cv2.rectangle(frame, (x, 90), (x + 36, 140), (46, 40, 20), -1)
    figure = np.zeros_like(frame)
    person(figure, (380 + 4 * i, 190), 26, 0.0)
    frame = np.maximum(frame, (figure * 0.12).astype(np.uint8))
    noise = np.random.default_rng(i).normal(0, 2, frame.shape)
    return np.clip(frame + noise, 0, 255).astype(np.uint8)


def portrait(i: int) -> np.ndarray:
    """A clip of 9:16 in which a figure comes nearer."""
    frame = np.full((640, 360, 3), (214, 206, 196), np.uint8)
    cv2.rectangle(frame, (0, 430), (360, 640), (150, 120, 95), -1)
    cv2.rectangle(frame, (250, 90), (330, 220), (110, 150, 190), -1)
    person(frame, (150 + i, 250), 44 + i, 0.2)
    return frame


def ball(i: int) -> np.ndarray:
    """A field seen from above, players of few pixels and a ball of fewer."""
    frame = np.full((360, 640, 3), (62, 130, 58), np.uint8)
    frame[:, ::80] = (70, 140, 66)
    cv2.rectangle(frame, (30, 30), (610, 330), (235, 240, 235), 2)
    cv2.circle(frame, (320, 180), 50, (235, 240, 235), 2, cv2.LINE_AA)
    random = np.random.default_rng(5)
    for k in range(14):
        x, y = random.uniform((60, 60), (580, 300)) + random.normal(0, 1.2, 2) * i
        colour = (200, 40, 40) if k % 2 else (240, 240, 250)
        cv2.rectangle(frame, (round(x), round(y)), (round(x) + 5, round(y) + 11), colour, -1)
    cv2.circle(frame, (110 + 21 * i, round(250 - 6 * i)), 3, (255, 255, 255), -1, cv2.LINE_AA)
    return frame


if __name__ == "__main__":
    exit_with(main)
