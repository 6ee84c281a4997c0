"""Get data sets ready: verify, cache, extract, gaze, download, stats.

Examples:
    saliency prepare verify dhf1k /data/DHF1K --report report.json
    saliency prepare cache dhf1k /data/DHF1K /fast/cache --size 224 384 --size 256 456
    saliency prepare stats dhf1k /data/DHF1K stats/
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import tyro
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from saliency.commands.arguments import parse_subcommands
from saliency.data.video import AnnotatedVideo
from saliency.datasets.dhf1k import DHF1K, parse_numbers
from saliency.datasets.folder import Folder
from saliency.datasets.hollywood2 import Hollywood2
from saliency.datasets.ucf_sports import UCFSports
from saliency.errors import InputError
from saliency.gaze.recording import DHF1K_SIGMA
from saliency.io import frame_cache
from saliency.preparation import gaze_statistics as statistics
from saliency.preparation import verify as checks
from saliency.preparation.archives import unpack
from saliency.preparation.extract import extract_frames, write_ground_truth

Name = Literal["dhf1k", "hollywood2", "ucf_sports", "folder"]
DataSet = DHF1K | Hollywood2 | UCFSports | Folder

PLACES = {
    "dhf1k": (
        "https://github.com/wenguanwang/DHF1K",
        "its README links the videos (video/001.AVI .. 1000.AVI) and the annotation of videos 1 to 700",
    ),
    "hollywood2": (
        "https://github.com/wenguanwang/DHF1K",
        "its README links the pack of Hollywood-2 with maps: training/ and testing/; the recordings are at "
        "http://vision.imar.ro/eyetracking",
    ),
    "ucf_sports": (
        "https://github.com/wenguanwang/DHF1K",
        "its README links the pack of UCF Sports with maps: training/ and testing/; the recordings are at "
        "http://vision.imar.ro/eyetracking",
    ),
}

EXTRACTED_BYTES = {".png": 350e3, ".jpg": 120e3}
"""What a detailed frame of 640x360 takes; a simple one takes a quarter."""

console = Console(soft_wrap=True, markup=False)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """Check every file of a data set; exit status 1 if anything is wrong.

    Attributes:
        dataset: which data set.
        root: its folder.
        videos: DHF1K: numbers to look at, e.g. 1-600,702.
        own: data of your own in this layout: do not compare with the published numbers of frames.
        quick: look at names, counts and headers; do not decode frames and maps.
        report: write everything that was found as JSON.
        show: faults printed of each kind.
        workers: processes.
    """

    dataset: tyro.conf.Positional[Name]
    root: tyro.conf.Positional[Path]
    videos: str = "1-1000"
    own: bool = False
    quick: bool = False
    report: Path | None = None
    show: int = 5
    workers: int = 1

    def __call__(self) -> int:
        """Run the check."""
        data = data_set(self.dataset, self.root, videos=self.videos, register=not self.own)
        extra: list[checks.Fault] = []
        if isinstance(data, DHF1K):
            items, extra = checks.dhf1k_items(data)
            if self.videos != Verify.videos:
                extra = []  # the other videos are not strangers
        elif isinstance(data, Hollywood2):
            items, extra = checks.hollywood2_items(data)
        elif isinstance(data, UCFSports):
            items, extra = checks.ucf_sports_items(data)
        else:
            items, extra = checks.folder_videos(data)
        with progress("checking", len(items)) as advance:
            report = checks.verify(
                self.dataset,
                self.root,
                items,
                extra=extra,
                thorough=not self.quick,
                workers=self.workers,
                done=lambda _: advance(1),
            )
        if self.report is not None:
            report.write(self.report)
        for kind in report.counts:
            faults = [fault for fault in report.faults if fault.kind == kind]
            for fault in faults[: self.show]:
                console.print(f"{kind}: {fault.path}: {fault.message}", highlight=False)
            if len(faults) > self.show:
                console.print(f"{kind}: and {len(faults) - self.show} more", highlight=False)
        console.print(
            f"{report.videos} videos, {report.frames} frames, {report.maps} maps, {report.empty} frames nobody "
            f"looked at: {sum(report.counts.values()) or 'no'} faults{' (quick look)' if self.quick else ''}"
        )
        return 1 if report.faults else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Resize all frames once and keep them: raw pixels (fastest, exact) or JPEG (15 times smaller).

    Shards that are there and valid are kept, so a stopped run goes on where it was.

    Attributes:
        dataset: which data set.
        root: its folder.
        out: folder of the frame cache.
        size: height and width to resize to; give it once for each size among your models.
        kind: raw or jpeg.
        videos: DHF1K: numbers to cache.
        split: one split only: train, val or test.
        check: compare every frame and the source files of the shards that are there.
        dry_run: print the size and stop.
        workers: processes.
    """

    dataset: tyro.conf.Positional[Name]
    root: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]
    size: tyro.conf.UseAppendAction[tuple[tuple[int, int], ...]] = ()
    kind: frame_cache.Kind = "raw"
    videos: str = ""
    split: str = ""
    check: bool = False
    dry_run: bool = False
    workers: int = 1

    def __call__(self) -> int:
        """Build or check the cache."""
        sizes = self.size or ((224, 384),)
        if min(min(size) for size in sizes) < 1:
            raise InputError(f"--size needs a height and a width of at least 1, got {min(sizes)}")
        videos = chosen_videos(data_set(self.dataset, self.root, videos=self.videos, register=False), self.split)
        frames = sum(video.num_frames for video in videos)
        middle = videos[len(videos) // 2]
        with middle.open() as source:
            sample = source.read([middle.num_frames // 2])[0]
        need = sum(frame_cache.estimate(sample, frames, size, self.kind) for size in sizes)
        there = sum(path.stat().st_size for path in self.out.rglob("*") if path.suffix in (".frames", ".tar"))
        free = frame_cache.free_bytes(self.out)
        console.print(
            f"{len(videos)} videos, {frames} frames, sizes {', '.join(f'{h}x{w}' for h, w in sizes)} ({self.kind}): "
            f"about {need / 1e9:.2f} GB, {there / 1e9:.2f} GB there, {free / 1e9:.1f} GB free"
        )
        if self.dry_run:
            return 0
        if not self.check and need - there > free:
            raise InputError(
                f"{self.out}: {need / 1e9:.1f} GB do not fit into {free / 1e9:.1f} GB; free space or use --kind jpeg"
            )
        jobs = [(self.out, video, size, self.kind, self.check) for video in videos for size in sizes]
        failed = made = 0
        with progress("checking" if self.check else "caching", len(jobs)) as advance:
            for error, new in in_processes(_cache_one, jobs, self.workers):
                advance(1)
                made += new
                if error:
                    failed += 1
                    console.print(error, highlight=False)
        done = len(jobs) - failed
        console.print(
            f"{done} shards are good" + ("" if self.check else f", {made} of them new") + f", {failed} failed"
        )
        return 1 if failed else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """Write the frames of DHF1K's videos as images, as several published loaders want them.

    Attributes:
        root: folder of the data set.
        out: folder to write to; default: the data set's own.
        folder: where the frames of a video go below `out`; {number} is its number.
        suffix: .png (exact) or .jpg.
        videos: numbers to extract.
        own: data of your own in this layout.
        workers: processes.
    """

    root: tyro.conf.Positional[Path]
    out: Path | None = None
    folder: str = "annotation/{number:04d}/images"
    suffix: Literal[".png", ".jpg"] = ".png"
    videos: str = "1-700"
    own: bool = False
    workers: int = 1

    def __call__(self) -> int:
        """Extract."""
        data = DHF1K(root=self.root, frames="video", register=not self.own)
        root = data.folder()
        numbers = parse_numbers(self.videos)
        try:
            folders = [self.folder.format(number=number) for number in numbers]
        except (KeyError, IndexError, ValueError) as error:
            raise InputError(
                f"--folder {self.folder}: only {{number}} can be filled in, e.g. {{number:04d}}"
            ) from error
        if len(set(folders)) < len(set(numbers)):
            raise InputError(f"--folder {self.folder}: gives several videos one folder; put {{number}} into it")
        jobs = []
        for number, folder in zip(numbers, folders, strict=True):
            annotated = (root / "annotation" / f"{number:04d}" / "maps").is_dir()
            video = data.video(root, number, annotated=annotated)
            jobs.append((video, (self.out or root) / folder, self.suffix))
        frames = sum(video.num_frames for video, _, _ in jobs)
        size = frames * EXTRACTED_BYTES[self.suffix] / 1e9
        console.print(f"{len(jobs)} videos, {frames} frames: up to about {size:.1f} GB as {self.suffix} at 640x360")
        new = 0
        with progress("extracting", len(jobs)) as advance:
            for written in in_processes(_extract_one, jobs, self.workers):
                new += written
                advance(1)
        console.print(f"{new} videos extracted, {len(jobs) - new} were there")
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaze:
    """Make fixation maps and density maps from DHF1K's raw gaze (exportdata_train).

    One point per observer and frame; recordings and videos are taken to start together. The released maps
    cannot be reproduced exactly from the raw gaze (docs/datasets.md).

    Attributes:
        root: folder of the data set.
        out: folder that gets annotation/0001/{maps,fixation,fixation/maps}; nothing is overwritten.
        videos: numbers of the videos.
        sigma: standard deviation of the maps in pixels.
    """

    root: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]
    videos: str
    sigma: float = float(DHF1K_SIGMA)

    def __call__(self) -> int:
        """Write the maps."""
        data = DHF1K(root=self.root, register=False)
        numbers = parse_numbers(self.videos)
        with progress("videos", len(numbers)) as advance:
            for number in numbers:
                video = data.video(data.folder(), number, annotated=False)
                observers = video.observers()
                if observers is None:
                    raise InputError(f"{self.root / 'exportdata_train'}: holds no recording of video {number:03d}")
                write_ground_truth(observers, video.size, self.sigma, self.out / "annotation" / f"{number:04d}")
                seen = np.isfinite(observers).all(axis=2).sum(axis=0)
                console.print(
                    f"video {video.id}: {len(observers)} observers, {video.num_frames} frames, "
                    f"{seen.min()}-{seen.max()} points per frame (median {np.median(seen):.0f})"
                )
                advance(1)
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """Say where a data set is, unpack what arrived, and look whether it is complete.

    Nothing is downloaded by itself: the authors ask to use their pages.

    Attributes:
        dataset: which data set.
        archives: zip or tar files that you have downloaded.
        root: folder to unpack to.
    """

    dataset: tyro.conf.Positional[Literal["dhf1k", "hollywood2", "ucf_sports"]]
    archives: tyro.conf.Positional[tuple[Path, ...]] = ()
    root: Path | None = None

    def __call__(self) -> int:
        """Unpack and check."""
        place, what = PLACES[self.dataset]
        console.print(f"{self.dataset}: {place}\n{what}")
        if self.root is None:
            if self.archives:
                raise InputError("archives need a folder to unpack to; add --root FOLDER")
            console.print("then: saliency prepare download", self.dataset, "ARCHIVE ... --root FOLDER")
            return 0
        for archive in self.archives:
            console.print(f"{archive}: {unpack(archive, self.root)} new files")
        return Verify(dataset=self.dataset, root=self.root, quick=True)()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Fixations per frame, centre bias and agreement of observers, as numbers and pictures.

    Attributes:
        dataset: which data set.
        root: its folder.
        out: folder of statistics.json and the pictures.
        videos: DHF1K: numbers of the videos.
        split: one split only.
        every: distance of the frames that are read.
        own: data of your own in this layout.
    """

    dataset: tyro.conf.Positional[Name]
    root: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]
    videos: str = ""
    split: str = ""
    every: int = 10
    own: bool = False

    def __call__(self) -> int:
        """Collect and draw."""
        data = data_set(self.dataset, self.root, videos=self.videos, register=not self.own)
        videos = [video for video in chosen_videos(data, self.split) if video.annotated]
        if not videos:
            raise InputError(f"{self.root}: has no annotated video")
        with progress("reading", len(videos)) as advance:
            found = statistics.collect(videos, every=self.every, done=lambda _: advance(1))
        found.write(self.out)
        table = Table("what", "value")
        table.add_row("videos / frames / frames read", f"{found.videos} / {found.frames} / {found.frames_read}")
        table.add_row("fixated pixels per frame", f"{found.mean_fixations:.2f}")
        table.add_row("frames nobody looked at", f"{found.histogram[0]}")
        table.add_row("share of the maps in the middle quarter", f"{found.centre_share:.3f}")
        agreement = "-" if found.agreement is None else f"{found.agreement:.2f} ({found.observers} observers)"
        table.add_row("agreement, leave-one-out NSS", agreement)
        console.print(table)
        return 0


def data_set(name: Name, root: Path, *, videos: str = "", register: bool = True) -> DataSet:
    """Make the config of a data set, with its standard splits unless DHF1K's `videos` are named."""
    if name == "dhf1k":
        data = DHF1K(root=root, register=register, may_be_empty=True)
        return replace(data, splits={"videos": videos}) if videos else data
    if name == "hollywood2":
        return Hollywood2(root=root, held_out=0)
    if name == "ucf_sports":
        return UCFSports(root=root, held_out=0, register=register)
    return Folder(root=root)


def all_videos(data: DataSet) -> list[AnnotatedVideo]:
    """Return the videos of all splits, each once."""
    splits = list(data.splits) if isinstance(data, DHF1K | Folder) else ["train", "test"]
    return list({video.id: video for split in splits for video in data.videos(split)}.values())


def chosen_videos(data: DataSet, split: str) -> list[AnnotatedVideo]:
    """Return the videos of one split, or of all."""
    return data.videos(split) if split else all_videos(data)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal; yield the function that moves it."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda steps: bar.advance(task, steps)


def in_processes(work: Callable[..., T], jobs: list[tuple[Any, ...]], workers: int) -> Iterator[T]:
    """Yield `work(*job)` of every job, in the order they finish."""
    if workers < 2:
        yield from (work(*job) for job in jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(work, *job) for job in jobs]
        yield from (future.result() for future in as_completed(futures))


def _cache_one(
    out: Path, video: AnnotatedVideo, size: tuple[int, int], kind: frame_cache.Kind, check: bool
) -> tuple[str, bool]:
    """Build or check one shard: (what went wrong or nothing, whether it is new)."""
    try:
        if check:
            frame_cache.check(frame_cache.shard_file(out, video.id, size, kind), video.sources())
            return "", False
        return "", frame_cache.build(out, video.id, video.open, video.sources(), size, kind)
    except InputError as error:
        return str(error), False


def _extract_one(video: AnnotatedVideo, folder: Path, suffix: str) -> bool:
    return extract_frames(video, folder, suffix=suffix)


COMMANDS = {"verify": Verify, "cache": Cache, "extract": Extract, "gaze": Gaze, "download": Download, "stats": Stats}


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler(show_path=False)])
    return parse_subcommands(COMMANDS, words, command="prepare", description=__doc__ or "")()
