"""Get data sets ready: verify, cache, shards, extract, gaze, download, stats.

Examples:
    saliency prepare verify dhf1k /data/DHF1K --report report.json
    saliency prepare cache dhf1k /data/DHF1K /fast/cache --size 224 384 --size 256 456
    saliency prepare shards dhf1k /data/DHF1K /bucket/dhf1k --split train --split val
    saliency prepare stats dhf1k /data/DHF1K stats/
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from saliency.commands.arguments import at_least, parse_subcommands
from saliency.errors import InputError
from saliency.preparation.catalogue import find


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

    dataset: tyro.conf.Positional[str]
    root: tyro.conf.Positional[Path]
    videos: str = ""
    own: bool = False
    quick: bool = False
    report: Path | None = None
    show: int = 5
    workers: int = 1

    def __call__(self) -> int:
        """Run the check."""
        from saliency.preparation.verify import list_items, verify
        from saliency.runtime.progress import progress_bar

        entry = find(self.dataset)
        items, extra = list_items(entry, entry.make_whole(self.root, videos=self.videos, own=self.own))
        if self.videos:
            extra = []  # the other videos are not strangers
        with progress_bar("checking", len(items)) as bar:
            report = verify(
                self.dataset,
                self.root,
                items,
                extra=extra,
                thorough=not self.quick,
                workers=self.workers,
                done=lambda _: bar(1),
            )
        if self.report is not None:
            report.write(self.report)
        for kind in report.counts:
            faults = [fault for fault in report.faults if fault.kind == kind]
            for fault in faults[: self.show]:
                print(f"{kind}: {fault.path}: {fault.message}")
            if len(faults) > self.show:
                print(f"{kind}: and {len(faults) - self.show} more")
        print(
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

    dataset: tyro.conf.Positional[str]
    root: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]
    size: tyro.conf.UseAppendAction[tuple[tuple[int, int], ...]] = ()
    kind: Literal["raw", "jpeg"] = "raw"
    videos: str = ""
    split: str = ""
    check: bool = False
    dry_run: bool = False
    workers: int = 1

    def __call__(self) -> int:
        """Build or check the cache."""
        from saliency.preparation.caching import CachePlan
        from saliency.runtime.progress import progress_bar

        entry = find(self.dataset)
        data = entry.make_whole(self.root, videos=self.videos, own=True)
        videos = data.videos(self.split) if self.split else entry.all_videos(data)
        plan = CachePlan(out=self.out, videos=videos, sizes=self.size or ((224, 384),), kind=self.kind)
        need, there, free = plan.need(), plan.there(), plan.free()
        print(
            f"{len(videos)} videos, {plan.frames} frames, sizes {', '.join(f'{h}x{w}' for h, w in plan.sizes)} "
            f"({self.kind}): about {need / 1e9:.2f} GB, {there / 1e9:.2f} GB there, {free / 1e9:.1f} GB free"
        )
        if self.dry_run:
            return 0
        if not self.check and need - there > free:
            raise InputError(
                f"{self.out}: {need / 1e9:.1f} GB do not fit into {free / 1e9:.1f} GB; free space or use --kind jpeg"
            )
        failed = made = 0
        with progress_bar("checking" if self.check else "caching", plan.shards) as bar:
            for error, new in plan.build(workers=self.workers, check=self.check):
                bar(1)
                made += new
                if error:
                    failed += 1
                    print(error)
        done = plan.shards - failed
        print(f"{done} shards are good" + ("" if self.check else f", {made} of them new") + f", {failed} failed")
        return 1 if failed else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shards:
    """Write videos and ground truth into tar files of equal size, to be streamed (docs/how-to/streaming.md).

    Attributes:
        dataset: which data set; folder is one of your own.
        root: its folder.
        out: folder of the shards and their index.
        split: train, val or test; give it once for each. A folder of your own: SPLIT=VIDEOS, as in saliency train.
        megabytes: of a shard.
    """

    dataset: tyro.conf.Positional[str]
    root: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]
    split: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    megabytes: int = 256

    def __call__(self) -> int:
        """Write them."""
        from saliency.commands.splits import parse_splits
        from saliency.preparation.picking import whole_folder
        from saliency.preparation.sharding import write_shards
        from saliency.runtime.progress import progress_bar

        at_least(self, megabytes=1)
        if self.dataset == "folder":
            data = whole_folder(self.root, parse_splits(self.split))
            names = tuple(data.splits)
        else:
            data, names = find(self.dataset).make(self.root), self.split or ("train", "val")
        splits = {name: data.videos(name) for name in names}
        with progress_bar("writing", sum(map(len, splits.values()))) as bar:
            done = write_shards(splits, self.out, limit=self.megabytes * 10**6, done=bar)
        print(f"{self.out}: {done.videos} videos in {done.shards} shards, {done.num_bytes / 1e6:.1f} MB")
        return 0


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
        from saliency.datasets.dhf1k import DHF1K
        from saliency.preparation.extract import EXTRACTED_BYTES, Extraction, extract
        from saliency.runtime.progress import progress_bar

        data = DHF1K(root=self.root, frames="video", register=not self.own)
        wanted = Extraction(data=data, videos=self.videos, out=self.out, folder=self.folder, suffix=self.suffix)
        jobs = wanted.jobs()
        frames = sum(video.num_frames for video, _, _ in jobs)
        size = frames * EXTRACTED_BYTES[self.suffix] / 1e9
        print(f"{len(jobs)} videos, {frames} frames: up to about {size:.1f} GB as {self.suffix} at 640x360")
        new = 0
        with progress_bar("extracting", len(jobs)) as bar:
            for written in extract(jobs, workers=self.workers):
                new += written
                bar(1)
        print(f"{new} videos extracted, {len(jobs) - new} were there")
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
        sigma: standard deviation of the maps in pixels; default DHF1K's own.
    """

    root: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]
    videos: str
    sigma: float | None = None

    def __call__(self) -> int:
        """Write the maps."""
        import numpy as np

        from saliency.datasets.dhf1k import DHF1K, parse_numbers
        from saliency.gaze.recording import DHF1K_SIGMA
        from saliency.preparation.extract import maps_from_gaze
        from saliency.runtime.progress import progress_bar

        data = DHF1K(root=self.root, register=False)
        numbers = parse_numbers(self.videos)
        with progress_bar("videos", len(numbers)) as bar:
            for number in numbers:
                made = maps_from_gaze(data, number, self.out, float(DHF1K_SIGMA) if self.sigma is None else self.sigma)
                print(
                    f"video {made.video}: {made.observers} observers, {made.frames} frames, "
                    f"{made.seen.min()}-{made.seen.max()} points per frame (median {np.median(made.seen):.0f})"
                )
                bar(1)
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

    dataset: tyro.conf.Positional[str]
    archives: tyro.conf.Positional[tuple[Path, ...]] = ()
    root: Path | None = None

    def __call__(self) -> int:
        """Unpack and check."""
        from saliency.preparation.archives import unpack

        entry = find(self.dataset)
        if entry.source is None:
            raise InputError(f"{self.dataset} is not to be unpacked here; saliency data list shows what can be fetched")
        place, what = entry.source
        print(f"{self.dataset}: {place}\n{what}")
        if self.root is None:
            if self.archives:
                raise InputError("archives need a folder to unpack to; add --root FOLDER")
            print("then: saliency prepare download", self.dataset, "ARCHIVE ... --root FOLDER")
            return 0
        for archive in self.archives:
            print(f"{archive}: {unpack(archive, self.root)} new files")
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

    dataset: tyro.conf.Positional[str]
    root: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]
    videos: str = ""
    split: str = ""
    every: int = 10
    own: bool = False

    def __call__(self) -> int:
        """Collect and draw."""
        from rich.console import Console
        from rich.table import Table

        from saliency.preparation.gaze_statistics import collect
        from saliency.runtime.progress import progress_bar

        entry = find(self.dataset)
        data = entry.make_whole(self.root, videos=self.videos, own=self.own)
        videos = data.videos(self.split) if self.split else entry.all_videos(data)
        videos = [video for video in videos if video.annotated]
        if not videos:
            raise InputError(f"{self.root}: has no annotated video")
        with progress_bar("reading", len(videos)) as bar:
            found = collect(videos, every=self.every, done=lambda _: bar(1))
        found.write(self.out)
        table = Table("what", "value")
        table.add_row("videos / frames / frames read", f"{found.videos} / {found.frames} / {found.frames_read}")
        table.add_row("fixated pixels per frame", f"{found.mean_fixations:.2f}")
        table.add_row("frames nobody looked at", f"{found.histogram[0]}")
        table.add_row("share of the maps in the middle quarter", f"{found.centre_share:.3f}")
        agreement = "-" if found.agreement is None else f"{found.agreement:.2f} ({found.observers} observers)"
        table.add_row("agreement, leave-one-out NSS", agreement)
        Console(soft_wrap=True, markup=False).print(table)
        return 0


COMMANDS = {
    "verify": Verify,
    "cache": Cache,
    "shards": Shards,
    "extract": Extract,
    "gaze": Gaze,
    "download": Download,
    "stats": Stats,
}


def main(words: Sequence[str]) -> int:
    """Run the command."""
    command = parse_subcommands(COMMANDS, words, command="prepare", description=__doc__ or "")
    if hasattr(command, "workers"):
        at_least(command, workers=0)

    import logging

    from rich.logging import RichHandler

    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler(show_path=False)])
    return command()
