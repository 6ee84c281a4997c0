"""Show where people would look in videos and pictures: `saliency infer clip.mp4`, `saliency infer folder/ *.jpg`.

With several GPUs or processes: `torchrun --nproc-per-node N -m saliency infer ...`, or `--engine ray`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from saliency.commands.arguments import parse
from saliency.errors import InputError

if TYPE_CHECKING:
    from saliency.inference.many import Work
    from saliency.inference.painters import Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Write videos with the predicted saliency painted on them and, if asked for, one map for each frame.

    Attributes:
        sources: video files, pictures, folders of videos (each is one source), folders of images (the frames of one),
            patterns such as 'clips/*.mp4'.
        video: one more source, as an option.
        weights: models by name, weights saved by this project or published, folders of runs; default: the model that
            comes with the project.
        ensemble: average all --weights.
        ensemble_weights: weights of the mean, one for each of --weights; default: equal ones.
        out: folder to write to (a folder, or file:///folder), or of a single source the file: out.mp4 (out.png of a
            picture).
        skip_done: leave out what an earlier call with the same settings completed in --out.
        every: predict each so manieth frame and draw the maps between them in proportion to time, which blurs cuts and
            quick changes (docs/many.md); auto: about 30 frames a second of faster videos, every frame of others.
        rank: measure only, and write rank.csv, a line for each source.
        roi: regions to measure with --rank, see saliency report --help.
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
        backend: who computes: auto takes OpenVINO on a CPU when it is installed and there is enough to do, else torch.
        precision: arithmetic: auto is fp32; bf16 and fp16 where the processor has them.
        decoder: package that decodes video files.
        fps: frames per second of a folder of images; default 30.
        engine: what does the work: this process (under torchrun: its processes), or processes of Ray.
        workers: processes of --engine ray; default: one for each GPU, or each two processors.
    """

    sources: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="SRC")] = ()
    video: str | None = None
    weights: tuple[str, ...] = ()
    ensemble: bool = False
    ensemble_weights: tuple[float, ...] = ()
    out: str = "runs/infer"
    skip_done: bool = False
    every: str = "1"
    rank: bool = False
    roi: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    style: Literal["overlay", "heat", "contour"] = "overlay"
    colours: str = "heat"
    opacity: float = 0.6
    top: float = 50.0
    maps: Annotated[str | None, tyro.conf.arg(metavar="FORMAT")] = None
    peak: float | None = None
    side_by_side: bool = False
    device: str = "auto"
    batch_size: int = 4
    backend: Literal["auto", "torch", "openvino", "onnx"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    decoder: Literal["pyav", "decord", "torchcodec"] = "pyav"
    fps: float | None = None
    engine: Literal["local", "ray"] = "local"
    workers: int | None = None


MORE = (
    *("ensemble", "ensemble_weights", "roi", "peak", "colours", "opacity", "top"),
    *("batch_size", "backend", "precision", "decoder", "fps", "engine", "workers", "video"),
)
"""Options that only --help-all shows."""


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    arguments = parse(Arguments, words, command="infer", more=MORE)
    names = [*arguments.sources, *([] if arguments.video is None else [arguments.video])]
    if not names:
        raise InputError("name a video or picture first: saliency infer clip.mp4")
    if arguments.roi and not arguments.rank:
        raise InputError("--roi belongs to --rank here; 'saliency report VIDEO --roi …' measures one film in full")
    if arguments.workers is not None and (arguments.engine != "ray" or arguments.workers < 1):
        raise InputError(f"--workers {arguments.workers}: at least 1, with --engine ray")

    from saliency.commands.infer_jobs import Plan, do_here, do_with_ray, report
    from saliency.commands.predicting import Choice
    from saliency.inference.painters import Look
    from saliency.io.sources import find_sources

    look = Look(
        style=arguments.style,
        beside=arguments.side_by_side,
        colours=arguments.colours,
        opacity=arguments.opacity,
        peak=arguments.peak,
        top=arguments.top,
    )
    look.painter()  # what is wrong with it is said before anything is loaded
    choice = Choice.of(arguments)
    plan = Plan(sources=find_sources(names), work=_work(arguments, look), choice=choice, skip_done=arguments.skip_done)
    outcomes = do_with_ray(plan, arguments.workers) if arguments.engine == "ray" else do_here(plan)
    return 0 if outcomes is None else report(plan, outcomes)


def _work(arguments: Arguments, look: "Look") -> "Work":
    """What is to be done with every source."""
    from saliency.attention.rank import Rank
    from saliency.commands.infer_jobs import place, step
    from saliency.inference.many import Work

    out, one_file = place(arguments.out)
    if arguments.rank and one_file:
        raise InputError(f"--out {arguments.out}: --rank writes rank.csv into a folder; name a folder")
    return Work(
        out=out,
        one_file=one_file,
        pictures=not arguments.rank,
        look=look,
        maps=arguments.maps,
        every=step(arguments.every),
        decoder=arguments.decoder,
        fps=arguments.fps,
        measure=Rank(regions=arguments.roi) if arguments.rank else None,
    )
