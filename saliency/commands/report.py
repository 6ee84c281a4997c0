"""Write a page that says where people look in a film: `saliency report ad.mp4 --roi logo=1620,60,240,90`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from saliency.commands.arguments import parse
from saliency.errors import InputError

if TYPE_CHECKING:
    from saliency.attention.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Write one folder with report.html (a page to send: it needs no network), frames.csv (numbers of every frame), the
    overlay film, and if asked for a re-framed film and thumbnails.

    Attributes:
        source: a video file, a picture or a folder of images.
        roi: regions to measure: NAME=X,Y,WIDTH,HEIGHT in pixels from the upper left corner, NAME=X,Y:X,Y:X,Y for the
            corners of a polygon, or NAME=FILE.csv for a rectangle that moves (columns frame or time, x, y, width,
            height; even motion between the lines). Several may follow, or --roi again.
        crop: also write crop.mp4 of this shape, such as 9:16, whose window follows the attention.
        thumbnails: also write so many frames that say most.
        out: folder to write to; default: runs/report/NAME.
        weights: models by name, or weights files; default: the model that comes with the project.
        ensemble: average all --weights.
        ensemble_weights: weights of the mean, one for each of --weights; default: equal ones.
        peak: map value shown hottest in every frame; default: each frame's own maximum.
        colours: colour map: heat, viridis, magma, plasma, turbo, jet or grey.
        opacity: of the colours where the map is highest, 0 to 1.
        device: auto, cpu, cuda, cuda:1, ...
        batch_size: clips computed at once; lower it when memory runs out.
        backend: who computes: auto takes OpenVINO on a CPU when it is installed and there is enough to do, else torch.
        precision: arithmetic: auto is fp32; bf16 and fp16 where the processor has them.
        fps: frames per second of a folder of images; default 30.
    """  # noqa: D205

    source: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="VIDEO")] = None
    roi: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    crop: str | None = None
    thumbnails: int = 0
    out: Path | None = None
    weights: tuple[str, ...] = ()
    ensemble: bool = False
    ensemble_weights: tuple[float, ...] = ()
    peak: float | None = None
    colours: str = "heat"
    opacity: float = 0.6
    device: str = "auto"
    batch_size: int = 4
    backend: Literal["auto", "torch", "openvino", "onnx"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    fps: float | None = None


MORE = (
    *("ensemble", "ensemble_weights", "peak", "colours", "opacity"),
    *("device", "batch_size", "backend", "precision", "fps"),
)


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    arguments = parse(Arguments, words, command="report", more=MORE)
    if arguments.source is None:
        raise InputError("name a film: saliency report ad.mp4 --roi logo=1620,60,240,90")
    if arguments.out is not None and arguments.out.suffix.lower() in (".pdf", ".html", ".htm", ".docx"):
        raise InputError(f"--out {arguments.out}: a folder is written, with report.html in it; name a folder")
    from saliency.attention.report import Wishes, write_report
    from saliency.commands.predicting import Choice, describe, notes_of
    from saliency.inference.outputs import source_name
    from saliency.inference.painters import Look
    from saliency.io.frames import open_frames
    from saliency.runtime.progress import progress_bar

    painter = Look(colours=arguments.colours, opacity=arguments.opacity, peak=arguments.peak).painter()
    wishes = Wishes(regions=arguments.roi, crop=arguments.crop, thumbnails=arguments.thumbnails)
    choice = Choice.of(arguments)
    with open_frames(arguments.source, threads=0, fps=arguments.fps) as source:
        models = [model.settled(source) for model in choice.load()]
        predictor = choice.predictor(models)
        print(describe(models))
        folder = arguments.out or Path("runs/report") / source_name(source)
        with progress_bar("frames", len(source)) as advance:
            report = write_report(
                source,
                predictor,
                folder,
                wishes,
                notes=notes_of(models),
                painter=painter,
                on_frame=lambda seen: advance(1),
            )
    print(_summary(report))
    if report.problem is not None:
        raise InputError(f"{report.problem}; the report covers the {len(report.film)} frames before")
    return 0


def _summary(report: "Report") -> str:
    lines = []
    for region in report.film.summaries():
        if region.attention is None or region.area is None:
            lines.append(f"{region.name}: never in the picture")
            continue
        first = "never" if region.first_peak is None else f"first at frame {region.first_peak}"
        lines.append(
            f"{region.name}: {100 * region.attention:.1f} % of the attention on {100 * region.area:.1f} % of the "
            f"picture; holds the peak {first}"
        )
    if report.crop is not None:
        kept, fixed = 100 * report.crop.share.mean(), 100 * report.crop.fixed_share.mean()
        lines.append(f"crop: keeps {kept:.1f} % of the attention (fixed in the middle: {fixed:.1f} %)")
    if report.film.doubt is not None:
        lines.append(f"confidence: {report.film.doubt.confidence.mean():.2f} bits per look beyond the centre prior")
        if note := report.film.doubt.note():
            lines.append(f"note: {note}")
    return "\n".join([*lines, f"report: {report.page}"])
