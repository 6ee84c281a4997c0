"""Show where the attention went in two cuts of one film: `saliency compare a.mp4 b.mp4 --roi logo=1620,60,240,90`."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from saliency.commands.arguments import parse
from saliency.errors import InputError

if TYPE_CHECKING:
    from saliency.attention.side_by_side import Compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Write one folder with compare.html (a page to send: it needs no network), compare.csv (both films' numbers and
    their differences), and the overlay film and the numbers of every frame of each film.

    Attributes:
        first: a video file or picture.
        second: the one to compare with it.
        roi: regions to measure in both films, written as for saliency report: NAME=X,Y,WIDTH,HEIGHT,
            NAME=X,Y:X,Y:X,Y or NAME=FILE.csv. Several may follow, or --roi again.
        roi_b: regions of the second film: where one of --roi lies there, or others.
        out: folder to write to; default: runs/compare/FIRST-SECOND.
        weights: models by name, or weights files; default: the model that comes with the project.
        ensemble: average all --weights.
        ensemble_weights: weights of the mean, one for each of --weights; default: equal ones.
        colours: colour map: heat, viridis, magma, plasma, turbo, jet or grey.
        opacity: of the colours where the map is highest, 0 to 1.
        device: auto, cpu, cuda, cuda:1, ...
        batch_size: clips computed at once; lower it when memory runs out.
        backend: who computes: auto takes OpenVINO on a CPU when it is installed and there is enough to do, else torch.
        precision: arithmetic: auto is fp32; bf16 and fp16 where the processor has them.
    """  # noqa: D205

    first: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="A")] = None
    second: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="B")] = None
    roi: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    roi_b: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    out: Path | None = None
    weights: tuple[str, ...] = ()
    ensemble: bool = False
    ensemble_weights: tuple[float, ...] = ()
    colours: str = "heat"
    opacity: float = 0.6
    device: str = "auto"
    batch_size: int = 4
    backend: Literal["auto", "torch", "openvino", "onnx"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"


MORE = ("ensemble", "ensemble_weights", "colours", "opacity", "device", "batch_size", "backend", "precision")


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    arguments = parse(Arguments, words, command="compare", more=MORE)
    if arguments.first is None or arguments.second is None:
        raise InputError("name two films: saliency compare a.mp4 b.mp4 --roi logo=1620,60,240,90")
    from saliency.attention.side_by_side import PairRegions, write_comparison
    from saliency.commands.predicting import Choice, describe, notes_of
    from saliency.inference.outputs import source_name
    from saliency.inference.painters import Look
    from saliency.io.frames import open_frames
    from saliency.runtime.progress import progress_bar

    painter = Look(colours=arguments.colours, opacity=arguments.opacity).painter()
    regions = PairRegions(both=arguments.roi, second=arguments.roi_b)
    choice = Choice.of(arguments)
    with ExitStack() as opened:
        names = (arguments.first, arguments.second)
        sources = [opened.enter_context(open_frames(name, threads=0)) for name in names]
        regions.read(sources)  # before a model is loaded
        models = [model.settled(max(sources, key=len)) for model in choice.load()]
        predictor = choice.predictor(models)
        print(describe(models))
        folder = arguments.out or Path("runs/compare") / "-".join(map(source_name, sources))
        advance = opened.enter_context(progress_bar("frames", sum(map(len, sources))))
        compared = write_comparison(
            sources,
            predictor,
            folder,
            regions,
            notes=notes_of(models),
            painter=painter,
            on_frame=lambda seen: advance(1),
        )
    print(_summary(compared))
    if compared.problems:
        raise InputError(f"{'; '.join(compared.problems)}; the comparison covers the frames before")
    return 0


def _summary(compared: "Compared") -> str:
    found = [{summary.name: summary for summary in film.summaries()} for film in compared.films]
    lines = []
    for name in dict.fromkeys([*found[0], *found[1]]):
        shares = [None if (summary := own.get(name)) is None else summary.attention for own in found]
        told = ["not in the picture" if share is None else f"{100 * share:.1f} %" for share in shares]
        lines.append(f"{name}: A {told[0]}, B {told[1]} of the attention")
    return "\n".join([*lines, f"comparison: {compared.page}"])
