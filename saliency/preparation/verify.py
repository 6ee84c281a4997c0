"""Check every file of a data set on disk: what is missing, extra, damaged, empty, or does not fit.

A data set is described as `Item`s, one per video; `check_item` looks at one of them and needs nothing else, so
items can be checked in parallel.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from saliency.data.map_files import Numbering, image_size
from saliency.data.video import AnnotatedVideo, VideoData
from saliency.datasets import dhf1k, hollywood2, ucf_sports
from saliency.datasets.dhf1k import DHF1K
from saliency.datasets.folder import Folder
from saliency.datasets.hollywood2 import Hollywood2
from saliency.datasets.ucf_sports import UCFSports
from saliency.errors import InputError
from saliency.io.atomic import write_atomic
from saliency.io.frames import open_frames
from saliency.io.maps import read_density, read_fixations
from saliency.preparation.catalogue import DataSet
from saliency.runtime.pool import in_processes

Kind = Literal[
    "missing_video",  # neither a video file nor a folder of frames
    "unreadable_video",  # no frame can be decoded
    "damaged_video",  # decoding stops early, or the decoder reports damage
    "frame_count",  # decoded frames are not as many as the header, the register or the maps say
    "frame_size",  # frames and maps differ in size
    "missing_frame",
    "unreadable_frame",
    "missing_folder",
    "missing_map",
    "missing_fixation",
    "unreadable_map",
    "unreadable_fixation",
    "unreadable_gaze",
    "unusable_video",  # of your own: its files do not fit together
    "map_size",
    "empty_map",
    "empty_fixation",
    "misnumbered",  # a name that does not follow the numbering, or numbers that start elsewhere
    "extra_file",
    "extra_folder",
    "fixation_copies_differ",  # PNG and Matlab copies of a fixation map
    "map_without_fixation",  # the density is zero at a fixated pixel: map and fixations of different frames
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        kind: what kind of thing.
        video: id of the video.
        path: file or folder.
        message: what was found.
    """

    kind: Kind
    video: str
    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What belongs to one video.

    Attributes:
        id: name of the video.
        video: video file; None where the frames are files.
        images: folder of frames; None where there is a video file.
        maps: folder of density maps; None without ground truth.
        fixation: folder of fixation maps (PNG); None without ground truth.
        matlab: folder of Matlab fixation maps; None when it is not there.
        naming: how the files are called.
        any_first: the numbers may start anywhere (Hollywood-2).
        expected: number of frames that is published.
        may_be_empty: frames nobody looked at are normal.
    """

    id: str
    video: Path | None = None
    images: Path | None = None
    maps: Path | None = None
    fixation: Path | None = None
    matlab: Path | None = None
    naming: Numbering = field(default_factory=Numbering)
    any_first: bool = False
    expected: int | None = None
    may_be_empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The result for one video.

    Attributes:
        id: name of the video.
        frames: number of frames found.
        maps: number of maps found.
        empty: frames nobody looked at, where that is normal.
        size: (H, W) of the frames; None when none could be read.
        faults: what is wrong.
    """

    id: str
    frames: int
    maps: int
    empty: int
    size: tuple[int, int] | None
    faults: list[Fault]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result for a data set.

    Attributes:
        dataset: its name.
        root: its folder.
        thorough: whether every frame was decoded and every map read.
        videos: number of videos looked at.
        frames: number of frames found.
        maps: number of maps found.
        empty: frames nobody looked at, where that is normal.
        counts: fault kind -> how often.
        faults: all faults, ordered by video.
        register: video -> (frames, height, width), of the videos without faults.
    """

    dataset: str
    root: str
    thorough: bool
    videos: int
    frames: int
    maps: int
    empty: int
    counts: dict[str, int]
    faults: list[Fault]
    register: dict[str, tuple[int, int, int]]

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        with write_atomic(path) as file:
            json.dump(asdict(self), file, indent=1)


def verify(
    dataset: str,
    root: Path,
    items: Iterable[Item | AnnotatedVideo],
    *,
    extra: Iterable[Fault] = (),
    thorough: bool = True,
    workers: int = 0,
    done: Callable[[Checked], None] = lambda checked: None,
) -> Report:
    """Check the items of a data set.

    Args:
        dataset: its name, for the report.
        root: its folder, for the report.
        items: what to check: `dhf1k_items` and the like, or the videos of any data set.
        extra: faults found while listing.
        thorough: decode every frame and read every map; False looks at names, counts and sizes only.
        workers: processes; 0 works in this one.
        done: called with each video's result, in order.
    """
    results: list[Checked] = []
    for checked in in_processes(_check, [(item, thorough) for item in items], workers, ordered=True):
        done(checked)
        results.append(checked)
    faults = [*extra, *(fault for checked in results for fault in checked.faults)]
    return Report(
        dataset=dataset,
        root=str(root),
        thorough=thorough,
        videos=len(results),
        frames=sum(checked.frames for checked in results),
        maps=sum(checked.maps for checked in results),
        empty=sum(checked.empty for checked in results),
        counts=dict(Counter(fault.kind for fault in faults)),
        faults=faults,
        register={c.id: (c.frames, *c.size) for c in results if c.size and not c.faults},
    )


def _check(item: Item | AnnotatedVideo, thorough: bool) -> Checked:
    return check_item(item, thorough) if isinstance(item, Item) else check_video(item, thorough)


def check_item(item: Item, thorough: bool = True) -> Checked:
    """Check one video, its maps and its fixation maps. Never raises for what is on disk."""
    faults: list[Fault] = []

    def fault(kind: Kind, path: Path | None, message: str) -> None:
        faults.append(Fault(kind=kind, video=item.id, path=str(path), message=message))

    listed = _Lists(item, fault)
    frames, size = _check_frames(item, listed, fault, thorough)
    maps, empty = listed.numbers.get("maps", []), 0
    if item.maps is not None:
        first = min(maps, default=1) if item.any_first else item.naming.first
        if item.any_first and (images := listed.numbers.get("images")):
            first = images[0]
        count = item.expected or frames or len(maps)
        if frames and item.expected and frames != item.expected:
            fault("frame_count", item.video or item.images, f"{frames} frames, published are {item.expected}")
        if frames and not item.expected and maps and maps[-1] - first + 1 != frames and item.images is None:
            fault("frame_count", item.video, f"{frames} frames but maps {first} to {maps[-1]}")
        wanted = range(first, first + count)
        for name in ("maps", "fixation", "matlab"):
            if name in listed.numbers:
                missing: Kind = "missing_map" if name == "maps" else "missing_fixation"
                _check_numbers(item, name, listed, wanted, missing, fault)
        if size is None and maps:
            try:
                size = image_size(listed.path("maps", maps[0]))
            except InputError:
                size = None
        if size is not None:
            for number in sorted(set(maps) | set(listed.numbers.get("fixation", []))):
                empty += _check_maps(item, number, listed, size, fault, thorough)
    elif item.expected and frames and frames != item.expected:
        fault("frame_count", item.video or item.images, f"{frames} frames, published are {item.expected}")
    return Checked(id=item.id, frames=frames, maps=len(maps), empty=empty, size=size, faults=faults)


def check_video(video: AnnotatedVideo, thorough: bool = True) -> Checked:
    """Check a video of any data set through what it returns, file names aside."""
    faults: list[Fault] = []

    def fault(kind: Kind, path: Path | None, message: str) -> None:
        faults.append(Fault(kind=kind, video=video.id, path=str(path), message=message))

    try:
        with video.open() as source:
            decoded = sum(1 for _ in source.iterate()) if thorough else len(source)
            if missing := source.shortfall(decoded):
                fault("frame_count", video.path, missing)
    except InputError as error:
        fault("unreadable_video", video.path, str(error))
        decoded = 0
    try:
        video.observers()
    except InputError as error:  # once, not for every frame that is made from it
        fault("unreadable_gaze", video.path, str(error))
        return Checked(id=video.id, frames=decoded, maps=0, empty=0, size=video.size, faults=faults)
    empty = maps = 0
    for i in range(video.num_frames if thorough and video.annotated else 0):
        try:
            density, fixations = video.density(i), video.fixations(i)
        except InputError as error:
            fault("unreadable_map", video.path, f"frame {i}: {error}")
            continue
        maps += 1
        if density.shape != tuple(video.size) or fixations.shape != tuple(video.size):
            fault("map_size", video.path, f"frame {i}: {density.shape} and {fixations.shape}, the video {video.size}")
        elif not (density.any() or fixations.any()) and video.may_be_empty:
            empty += 1
        elif not (density.any() and fixations.any()):
            fault("empty_fixation" if density.any() else "empty_map", video.path, f"frame {i}: all zero")
        elif (density[fixations] == 0).any():
            fault("map_without_fixation", video.path, f"frame {i}: the map is zero where somebody looked")
    return Checked(id=video.id, frames=decoded, maps=maps, empty=empty, size=video.size, faults=faults)


FaultCall = Callable[[Kind, "Path | None", str], None]


class _Lists:
    """The numbers of the files in each folder of an item; names that do not fit are faults."""

    def __init__(self, item: Item, fault: FaultCall) -> None:
        self.folders = {
            name: (path, suffix)
            for name, path, suffix in (
                ("images", item.images, ".png"),
                ("maps", item.maps, ".png"),
                ("fixation", item.fixation, ".png"),
                ("matlab", item.matlab, ".mat"),
            )
            if path is not None
        }
        self.naming = item.naming
        self.numbers: dict[str, list[int]] = {}
        for name, (folder, suffix) in self.folders.items():
            if not folder.is_dir():
                fault("missing_folder", folder, "no such folder")
                continue
            found = []
            for path in sorted(folder.iterdir()):
                if path.is_dir():
                    if path != item.matlab and not (name == "fixation" and path.name == "maps"):
                        fault("extra_folder", path, "does not belong here")
                    continue
                number = item.naming.number(path.stem)
                if path.suffix.lower() != suffix:
                    fault("extra_file", path, f"only {suffix} files belong here")
                elif number is None or path.name != self.path(name, number).name:
                    fault("misnumbered", path, f"files here are called like {item.naming.stem(0)}{suffix}")
                else:
                    found.append(number)
            self.numbers[name] = sorted(found)

    def path(self, name: str, number: int) -> Path:
        folder, suffix = self.folders[name]
        return folder / f"{self.naming.prefix}{number:0{self.naming.digits}d}{suffix}"


def _check_frames(item: Item, listed: _Lists, fault: FaultCall, thorough: bool) -> tuple[int, tuple[int, int] | None]:
    """Return the number of frames that are really there, and their size."""
    if item.images is not None:
        numbers = listed.numbers.get("images", [])
        if not numbers:
            return 0, None
        first = numbers[0] if item.any_first else item.naming.first
        _check_numbers(item, "images", listed, range(first, numbers[-1] + 1), "missing_frame", fault)
        size: tuple[int, int] | None = None
        for number in numbers if thorough else numbers[:1]:
            path = listed.path("images", number)
            try:
                with closing(open_frames(path)) as source:
                    found = source.size
                    source.read([0])
            except InputError as error:
                fault("unreadable_frame", path, str(error))
                continue
            if size is not None and found != size:
                fault("frame_size", path, f"{found} (HxW), the first frame {size}")
            size = size or found
        return len(numbers), size
    if item.video is None or not item.video.is_file():
        fault("missing_video", item.video, "no such video")
        return 0, None
    try:
        source = open_frames(item.video)
    except InputError as error:
        fault("unreadable_video", item.video, str(error))
        return 0, None
    with source:
        frames = 0
        try:
            frames = len(source)
            if missing := source.shortfall(frames):
                fault("frame_count", item.video, missing)
            if thorough:
                frames = sum(1 for _ in source.iterate())
        except InputError as error:
            fault("damaged_video", item.video, str(error))
        if source.corrupt_frames:
            fault("damaged_video", item.video, f"the decoder reports damage in {source.corrupt_frames} frames")
        return frames, source.size


def _check_numbers(item: Item, name: str, listed: _Lists, wanted: range, missing: Kind, fault: FaultCall) -> None:
    found = listed.numbers[name]
    if found and found[0] != wanted.start and name == "images" and not item.any_first:
        fault("misnumbered", listed.path(name, found[0]), f"the first number should be {wanted.start}")
    for number in sorted(set(wanted) - set(found)):
        fault(missing, listed.path(name, number), "no such file")
    for number in sorted(set(found) - set(wanted)):
        fault("extra_file", listed.path(name, number), f"the video has {len(wanted)} frames")


def _check_maps(
    item: Item, number: int, listed: _Lists, size: tuple[int, int], fault: FaultCall, thorough: bool
) -> bool:
    """Check the map and the fixation maps of one frame; return whether nobody looked at it."""
    arrays: dict[str, np.ndarray] = {}
    readers = {"maps": read_density, "fixation": read_fixations, "matlab": read_fixations}
    for name, read in readers.items():
        if number not in listed.numbers.get(name, ()) or (name == "matlab" and not thorough):
            continue
        path = listed.path(name, number)
        unreadable: Kind = "unreadable_map" if name == "maps" else "unreadable_fixation"
        try:
            if thorough:
                arrays[name] = read(path)
            shape = arrays[name].shape if thorough else image_size(path)
        except InputError as error:
            fault(unreadable, path, str(error))
            continue
        if tuple(shape) != tuple(size):
            fault("map_size", path, f"{tuple(shape)} (HxW), the video {tuple(size)}")
            arrays.pop(name, None)
    empty = [name for name, array in arrays.items() if not array.any()]
    if not item.may_be_empty or len(empty) < len(arrays):  # all of them empty: nobody looked
        for name in empty:
            fault("empty_map" if name == "maps" else "empty_fixation", listed.path(name, number), "all zero")
    maps, fixation, matlab = (arrays.get(name) for name in readers)
    if fixation is not None and matlab is not None and (fixation != matlab).any():
        fault("fixation_copies_differ", listed.path("matlab", number), "differs from the PNG")
    if maps is not None and fixation is not None and maps.any() and (maps[fixation] == 0).any():
        fault("map_without_fixation", listed.path("maps", number), "is zero where somebody looked")
    return bool(empty) and len(empty) == len(arrays)


def list_items(entry: DataSet, data: VideoData) -> tuple[Sequence[Item | AnnotatedVideo], list[Fault]]:
    """List what a data set must hold, and the faults that show in the listing.

    Data sets of files in published trees are listed file by file, all others through the videos they return.

    Raises:
        InputError: the root folder is missing.
    """
    if isinstance(data, DHF1K):
        return dhf1k_items(data)
    if isinstance(data, Hollywood2):
        return hollywood2_items(data)
    if isinstance(data, UCFSports):
        return ucf_sports_items(data)
    if isinstance(data, Folder):
        return folder_videos(data)
    return entry.all_videos(data), []


def dhf1k_items(config: DHF1K) -> tuple[list[Item], list[Fault]]:
    """List what DHF1K must hold, and what is there besides.

    Raises:
        InputError: the root folder is missing.
    """
    root = config.folder()
    splits = {name: dhf1k.parse_numbers(text) for name, text in config.splits.items()}
    numbers = sorted({n for members in splits.values() for n in members})
    items = []
    for number in numbers:
        annotation = root / "annotation" / f"{number:04d}"
        videos = [root / "video" / f"{number:03d}{suffix}" for suffix in (".AVI", ".avi", ".mp4")]
        video = next((path for path in videos if path.is_file()), videos[0])
        use_images = config.frames == "images" or (not video.is_file() and (annotation / "images").is_dir())
        annotated = not config.register or number <= 700
        matlab = annotation / "fixation" / "maps"
        items.append(
            Item(
                id=f"{number:03d}",
                video=None if use_images else video,
                images=annotation / "images" if use_images else None,
                maps=annotation / "maps" if annotated else None,
                fixation=annotation / "fixation" if annotated else None,
                matlab=matlab if annotated and matlab.is_dir() else None,
                expected=dhf1k.frame_counts()[number - 1] if config.register and 1 <= number <= 1000 else None,
                may_be_empty=config.may_be_empty,
            )
        )
    known = {item.video for item in items} | {root / "annotation" / f"{n:04d}" for n in numbers}
    places = [path for name in ("video", "annotation") if (root / name).is_dir() for path in (root / name).iterdir()]
    return items, _strangers(places, known)


def hollywood2_items(config: Hollywood2) -> tuple[list[Item], list[Fault]]:
    """List the shots of Hollywood-2 and what is there besides.

    Raises:
        InputError: the root folder is missing or holds no shot.
    """
    root = config.folder()
    items, places, known = [], [], set()
    for part in ("training", "testing"):
        if not (root / part).is_dir():
            continue
        places += (root / part).iterdir()
        for clip, shots in hollywood2.list_shots(root / part).items():
            for shot in shots:
                folder = root / part / f"{clip}_{shot}"
                known.add(folder)
                items.append(_frame_item(folder, Numbering(prefix=f"{clip}_", digits=5), any_first=True))
    return items, _strangers(places, known)


def ucf_sports_items(config: UCFSports) -> tuple[list[Item], list[Fault]]:
    """List the videos of UCF Sports and what is there besides.

    Raises:
        InputError: the root folder is missing.
    """
    root = config.folder()
    items, places, known = [], [], set()
    for part in ("training", "testing"):
        there = list((root / part).iterdir()) if (root / part).is_dir() else []
        places += there
        published = ucf_sports.frame_counts()[part] if config.register else {}
        for name in sorted({*published, *(path.name for path in there if path.is_dir() and not config.register)}):
            folder = root / part / name
            known.add(folder)
            naming = Numbering(prefix=f"{name[:-4]}_{name[-3:]}_", digits=3)
            items.append(_frame_item(folder, naming, expected=published.get(name)))
    return items, _strangers(places, known)


def folder_videos(config: Folder) -> tuple[list[AnnotatedVideo], list[Fault]]:
    """List the videos of a folder of your own, those that cannot be used, and what belongs to no video.

    Raises:
        InputError: there is no folder of videos.
    """
    videos: list[AnnotatedVideo] = []
    faults: list[Fault] = []
    names = config.names()
    for name, path in names.items():
        try:
            videos.append(config.video(name, path))
        except InputError as error:
            faults.append(Fault(kind="unusable_video", video=name, path=str(path), message=str(error)))
    for kind in ("maps", "fixations", "gaze"):
        places = (config.root / kind).iterdir() if (config.root / kind).is_dir() else ()
        faults += _strangers([path for path in places if path.stem not in names], set())
    return videos, faults


def _frame_item(folder: Path, naming: Numbering, *, any_first: bool = False, expected: int | None = None) -> Item:
    matlab = folder / "fixation" / "maps"
    return Item(
        id=folder.name,
        images=folder / "images",
        maps=folder / "maps",
        fixation=folder / "fixation",
        matlab=matlab if matlab.is_dir() else None,
        naming=naming,
        any_first=any_first,
        expected=expected,
        may_be_empty=True,
    )


def _strangers(places: Iterable[Path], known: set[Path | None] | set[Path]) -> list[Fault]:
    return [
        Fault(
            kind="extra_folder" if path.is_dir() else "extra_file",
            video="",
            path=str(path),
            message="does not belong to the data set",
        )
        for path in sorted(places)
        if path not in known
    ]
