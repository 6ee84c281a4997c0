"""Draw the README's picture: `python benchmarks/overlay.py docs/images/overlay.jpg`.

A simulated video with its 17 simulated viewers, rendered at 640x360: their density map on the left, what the bundled
model predicts on the right. The model was trained on other videos of the same kind.
"""

import tempfile
from pathlib import Path

import tyro
from PIL import Image

from saliency.commands.main import exit_with
from saliency.datasets.mini import Mini
from saliency.evaluation.baselines import ModelPredictor
from saliency.inference.engine import Engine
from saliency.inference.overlay import Overlay, side_by_side
from saliency.inference.zoo import BUNDLED
from saliency.io.transforms import resize_map
from saliency.io.weights import load_model


def main(out: tyro.conf.Positional[Path], seed: int = 1003, frame: int = 40, quality: int = 93) -> None:
    """Draw one frame.

    Args:
        out: the picture's file.
        seed: of the scene and its viewers.
        frame: which frame.
        quality: of a JPEG.
    """
    loaded = load_model(BUNDLED / "mini_vinet_a.safetensors")
    model = ModelPredictor(name="bundled", engine=Engine(loaded.model, loaded.config.input))
    with tempfile.TemporaryDirectory() as cache:
        data = Mini(seed=seed, train_videos=0, val_videos=0, test_videos=1, size=(360, 640), cache=Path(cache))
        (video,) = data.videos("test")
        with video.open() as source:
            picture = source.read([frame])[0]
        _, predicted = next(iter(model.maps(video, [frame])))
        truth = video.density(frame)
    paint = Overlay()
    pair = side_by_side(paint.paint(picture, truth), paint.paint(picture, resize_map(predicted, video.size).numpy()))
    Image.fromarray(pair).save(out, quality=quality)
    print(f"{out}: {pair.shape[1]}x{pair.shape[0]}, {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    exit_with(lambda: tyro.cli(main))
