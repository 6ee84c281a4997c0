"""Show where people would look in a video: `saliency infer clip.mp4`."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from saliency.commands.arguments import parse
from saliency.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Write a video with the predicted saliency painted on it and, if asked for, one map for each frame.

    Attributes:
        source: a video file or a folder of images (a local path).
        video: the same, as an option.
        weights: a model saved by this project (.safetensors), or published weights of TMFI-Net, ViNet-S, ViNet,
            ViNet-A or STSA-Net as their authors save them, or a model by name; default: the one that comes with the
            project.
        out: folder to write to, or the file to write: out.mp4 (out.png of a picture).
        style: how the map is shown: painted on the frame, alone (heat), or as a line around what is looked at most
            (contour).
        colours: colour map: heat, viridis, magma, plasma, turbo, jet or grey.
        opacity: of the colours where the map is highest, 0 to 1.
        top: percent of the attention that lies inside the line of --style contour.
        maps: also write the map of each frame, of the video's size: png (8 bits), png16 (16 bits) or npy (float32)
            for one file a frame, npz or mp4 (grey) for one file of all.
        peak: map value shown hottest (and white in PNG maps) in every frame, such as 1.0; default: each
            frame's own maximum.
        side_by_side: show the original to the left.
        device: auto, cpu, cuda, cuda:1, ...
        batch_size: clips computed at once; lower it when memory runs out.
        precision: arithmetic of the model.
        decoder: package that decodes video files.
        fps: frames per second of a folder of images; default 30.
    """

    source: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="VIDEO")] = None
    video: str | None = None
    weights: str | None = None
    out: Path = Path("runs/infer")
    style: Literal["overlay", "heat", "contour"] = "overlay"
    colours: str = "heat"
    opacity: float = 0.6
    top: float = 50.0
    maps: Annotated[str | None, tyro.conf.arg(metavar="FORMAT")] = None
    peak: float | None = None
    side_by_side: bool = False
    device: str = "auto"
    batch_size: int = 4
    precision: Literal["float32", "bfloat16"] = "float32"
    decoder: Literal["pyav", "decord", "torchcodec"] = "pyav"
    fps: float | None = None


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    arguments = parse(
        Arguments,
        words,
        command="infer",
        more=("peak", "colours", "opacity", "top", "batch_size", "precision", "decoder", "fps"),
    )
    source = arguments.source or arguments.video
    if source is None:
        raise InputError("name a video: saliency infer clip.mp4")
    if arguments.source and arguments.video:
        raise InputError(f"name the video once, not {arguments.source} and --video {arguments.video}")
    if arguments.batch_size < 1:
        raise InputError(f"--batch-size must be at least 1, got {arguments.batch_size}")
    import torch

    from saliency.inference.outputs import outputs_at, outputs_in
    from saliency.inference.painters import Look
    from saliency.inference.predictor import Predictor
    from saliency.inference.render import render
    from saliency.inference.zoo import open_model, resolve
    from saliency.io.frames import open_frames
    from saliency.runtime.distributed import pick_device
    from saliency.runtime.progress import progress_bar

    painter = Look(
        style=arguments.style,
        beside=arguments.side_by_side,
        colours=arguments.colours,
        opacity=arguments.opacity,
        peak=arguments.peak,
        top=arguments.top,
    ).painter()
    device = pick_device(arguments.device)

    with open_frames(
        source, arguments.decoder, threads=0 if arguments.decoder == "pyav" else 1, fps=arguments.fps
    ) as frames:
        weights = resolve(arguments.weights)
        loaded = open_model(weights)
        print(f"weights: {weights.name} ({type(loaded.config).__name__}, sha256 {loaded.sha256[:12]}) on {device}")
        predictor = Predictor(
            loaded.model,
            loaded.config.input,
            device=device,
            batch_size=arguments.batch_size,
            autocast=torch.bfloat16 if arguments.precision == "bfloat16" else None,
        )
        place = outputs_at if arguments.out.suffix.lower() in (".mp4", ".png") else outputs_in
        begun = time.perf_counter()
        with progress_bar("frames", len(frames)) as advance:
            try:
                written = render(
                    frames,
                    predictor,
                    place(arguments.out, frames, maps=arguments.maps, peak=arguments.peak),
                    painter=painter,
                    on_frame=lambda seen: advance(1),
                )
            except torch.OutOfMemoryError as error:
                raise InputError(f"{device} is out of memory; lower --batch-size") from error
        seconds = time.perf_counter() - begun

    if written.picture is not None:
        print(f"{written.frames} frames in {seconds:.1f} s ({written.frames / seconds:.1f} fps): {written.picture}")
    if written.maps is not None:
        print(f"{written.frames} maps: {written.maps}")
    if written.problem is not None:
        place = written.picture or written.maps
        raise InputError(f"{written.problem}; {written.frames} frames were written{f' to {place}' if place else ''}")
    return 0
