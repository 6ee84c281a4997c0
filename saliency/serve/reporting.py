"""The work on one uploaded video: a report in a folder, its numbers, and a list of the files."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from saliency.attention.notes import ModelNotes
from saliency.attention.report import Report, write_report
from saliency.inference.render import MapMaker
from saliency.io.frames import open_frames
from saliency.io.partial import partial_path
from saliency.serve.jobs import Job, Work
from saliency.serve.orders import Order

FILES = {
    "report.html": "the page above, to keep or send: it needs nothing else",
    "frames.csv": "the numbers of every frame",
    "overlay.mp4": "the video with the prediction on it",
    "overlay.png": "the picture with the prediction on it",
    "crop.mp4": "the re-framed video",
    "crop.png": "the re-framed picture",
    "maps.mp4": "the maps as a grey video",
    "maps.npz": "the maps as NumPy arrays, one a frame",
}
"""What may be downloaded, and what it is. Thumbnails, ``thumb_1.png`` and so on, come behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A model that is ready.

    Attributes:
        predictor: makes the maps.
        notes: what is said of it.
    """

    predictor: MapMaker
    notes: ModelNotes


def measuring(open_model: Callable[[str], Opened]) -> Work:
    """Return what measures a job.

    Args:
        open_model: gives the model of a name, the default one for an empty name. Called for one job at a time.
    """

    def measure(job: Job, order: Order) -> None:
        opened = open_model(order.model)
        with open_frames(job.video, threads=0) as source:
            report = write_report(
                source, opened.predictor, job.results, order.wishes(), notes=opened.notes, on_frame=lambda _: job.step()
            )
        job.numbers = numbers(report)
        job.message = "" if report.problem is None else report.problem.replace(f"{job.video.parent}/", "")

    return measure


def numbers(report: Report) -> dict[str, object]:
    """Return what was measured of a whole film, in a form that JSON takes."""
    film = report.film
    crop = report.crop
    return {
        "frames": len(film),
        "cuts": list(film.cuts),
        "spread": float(film.series("spread").mean()),
        "centre_distance": float(film.series("centre_distance").mean()),
        "regions": {summary.name: {**asdict(summary), "lift": summary.lift} for summary in film.summaries()},
        "crop": None if crop is None else {"kept": float(crop.share.mean()), "fixed": float(crop.fixed_share.mean())},
        "thumbnails": list(report.thumbnails),
    }


def files_of(folder: Path) -> dict[str, str]:
    """Return what may be downloaded of a folder of results: name -> what it is."""
    if not folder.is_dir():
        return {}
    found = {}
    for name, about in FILES.items():
        whole = folder / name
        part = partial_path(whole)
        if whole.is_file():
            found[name] = about
        elif part.is_file():
            found[part.name] = f"{about}, as far as the file could be read"
    thumbnails = sorted(folder.glob("thumb_*.png"), key=lambda path: int(path.stem.partition("_")[2]))
    return found | {path.name: "a frame that says much" for path in thumbnails}
