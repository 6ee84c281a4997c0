"""Some videos of a data set in place of whole splits: partial downloads, small trees, folders of your own."""

import fnmatch
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saliency.data.targets import Sampling
from saliency.datasets.folder import Folder, as_patterns, inventory
from saliency.errors import InputError, nearest
from saliency.preparation.catalogue import DATA_SETS, DataSet
from saliency.types import InputSpec

if TYPE_CHECKING:
    from saliency.data.video import AnnotatedVideo, VideoData

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """A data set of which some splits are made of a part of their videos.

    Attributes:
        data: the whole of it.
        splits: split -> names of the videos to keep of that split, with ``*`` as a wildcard, separated by commas.
    """

    data: "VideoData"
    splits: dict[str, str] = field(default_factory=dict)

    @property
    def sampling(self) -> Sampling:
        """The target rules of training and validation."""
        return self.data.sampling

    def videos(self, split: str) -> "list[AnnotatedVideo]":
        """Return the videos of a split that were picked.

        Raises:
            InputError: a name or pattern is that of none of them.
        """
        there = self.data.videos(split)
        if split not in self.splits:
            return there
        names = [video.id for video in there]
        patterns = [pattern.strip() for pattern in self.splits[split].split(",") if pattern.strip()]
        for pattern in patterns:
            if not fnmatch.filter(names, pattern):
                raise InputError(f"split '{split}' holds no video called '{pattern}'{nearest(pattern, names)}")
        return [video for video in there if any(fnmatch.fnmatchcase(video.id, pattern) for pattern in patterns)]

    def view(self, spec: InputSpec) -> InputSpec:
        """Return the clip a model gets: the whole data set's."""
        return self.data.view(spec)


def pick(data: "VideoData", splits: Mapping[str, str]) -> "VideoData":
    """Return a data set with some splits made of the videos that are named.

    Where the data set's config names the videos of its splits itself (DHF1K by numbers, ``601-610``), so do `splits`,
    and nothing else need be there; else names and patterns choose among the videos of each split.

    Args:
        data: the whole data set.
        splits: split -> videos; the others stay as they are.
    """
    config: Any = data  # data sets are dataclasses
    if hasattr(config, "splits"):
        return replace(config, splits={**config.splits, **splits})
    return Picked(data=data, splits=dict(splits)) if splits else data


def shortfall(entry: DataSet, data: "VideoData", split: str) -> str:
    """Say how many of a split's videos are used where not all are: ``"5 of 100 videos"``; empty where all are."""
    if isinstance(data, Picked):
        used, whole = len(data.videos(split)), len(data.data.videos(split))
    else:
        used, whole = len(data.videos(split)), entry.sizes.get(split, 0)
    return f"{used} of {whole} videos" if used < whole else ""


def whole_folder(root: Path, splits: Mapping[str, str]) -> Folder:
    """Return the data set of a folder of your own: all of its videos that have ground truth are the split ``test``.

    What is left out is logged.

    Args:
        root: the folder.
        splits: split -> videos, in place of that.

    Raises:
        InputError: no video has ground truth, a video that is named has none, or one is in two splits.
    """
    found = inventory(root)
    for line in found.complaints():
        log.warning("%s", line)
    named = found.named(splits) if splits else {"test": list(found.ready)}
    return Folder(root=root, splits={split: as_patterns(names) for split, names in named.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A split of a data set.

    Attributes:
        data: the data set's config.
        split: which split.
        title: what results call the two, and how many videos are lacking.
    """

    data: "VideoData"
    split: str
    title: str

    def videos(self) -> "list[AnnotatedVideo]":
        """Return the videos of the split."""
        return self.data.videos(self.split)


def choose(
    name: str, *, root: Path | None = None, split: str | None = None, splits: Mapping[str, str] | None = None
) -> Chosen:
    """Return a split of a data set.

    Args:
        name: a name of `DATA_SETS`, or the path of a folder of your own.
        root: folder of a data set that has a name; None takes the one its environment variable names.
        split: which split; None takes its default one, or the first of `splits`.
        splits: split -> the videos it is made of, in place of its own.

    Raises:
        InputError: neither a known name nor a folder, or a video that is named is not there.
    """
    splits = splits or {}
    own = name not in DATA_SETS
    if own and not Path(name).is_dir():
        raise InputError(f"--data {name} is no folder and none of {', '.join(DATA_SETS)}{nearest(name, DATA_SETS)}")
    if own and root is not None:
        raise InputError(f"--data {name} is a folder already; leave --root out")
    entry = DATA_SETS["folder" if own else name]
    default = entry.default_split
    split = split or (default if default in splits or not splits else next(iter(splits)))
    if own:
        data, title = whole_folder(Path(name), splits), Path(name).resolve().name
    else:
        data, title = pick(entry.make(root), splits), name
    told = {each: shortfall(entry, data, each) for each in splits}
    parts = [lacking if each == split else f"{each}: {lacking}" for each, lacking in told.items() if lacking]
    title = title if title == split else f"{title} {split}"
    return Chosen(data=data, split=split, title=f"{title} ({'; '.join(parts)})" if parts else title)
