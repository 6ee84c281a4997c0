"""The one table of data sets by name: whoever asks for a data set by its name asks here.

A new data set of videos is a file in `saliency/datasets/` and an entry in `DATA_SETS` (docs/add-a-data-set.md).
Classes are imported when they are asked for, so that reading the table costs nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saliency.errors import InputError, nearest

if TYPE_CHECKING:
    from saliency.data.video import AnnotatedVideo, VideoData


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A data set that has a name.

    Attributes:
        name: what it is asked for by.
        about: what it is, in a few words.
        config: imports and returns its config dataclass, see `saliency.data.video.VideoData`.
        splits: its splits.
        default_split: the one that is scored unless told otherwise.
        variable: environment variable that names its folder; empty if there is none.
        built: the project makes it; it takes no folder.
        source: where to get it, and what to take there.
        whole: settings with which no video is left out or refused, for looking at all of it.
        whole_splits: the splits that then hold all videos; empty: all of `splits`.
        settings: fields of the config that make it this data set.
        open: ``saliency data get NAME`` brings it into the data folder, where it is found without a folder's name.
        sizes: split -> number of its videos, where they can be chosen by number.
    """

    name: str
    about: str
    config: Callable[[], type[Any]]
    splits: tuple[str, ...] = ("train", "val", "test")
    default_split: str = "test"
    variable: str = ""
    built: bool = False
    source: tuple[str, str] | None = None
    whole: Mapping[str, Any] = field(default_factory=dict)
    whole_splits: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    open: bool = False
    sizes: Mapping[str, int] = field(default_factory=dict)

    def make(self, root: Path | None = None, **settings: object) -> "VideoData":
        """Return its config.

        Args:
            root: its folder; None takes the one its environment variable names.
            settings: values of further fields of the config.

        Raises:
            InputError: a folder is given to a data set that has none, or is lacking.
        """
        if root is not None:
            if self.built:
                raise InputError(f"{self.name} is built by the project and has no folder; leave --root out")
            settings["root"] = root
        elif not (self.variable or self.built or self.open):
            raise InputError(f"{self.name} needs its folder; name it with --root FOLDER")
        return self.config()(**{**self.settings, **settings})

    def make_whole(self, root: Path, *, videos: str = "", own: bool = False) -> "VideoData":
        """Return its config for looking at all of it.

        Args:
            root: its folder.
            videos: the videos to look at, where the config's `splits` name them; empty takes all.
            own: it is data of your own in this layout: nothing is held against published numbers.

        Raises:
            InputError: it takes no folder, or its videos cannot be named.
        """
        known = {field.name for field in fields(self.config())}
        settings = dict(self.whole)
        if "register" in known:
            settings["register"] = not own
        if videos:
            if "splits" not in known:
                raise InputError(f"--videos: those of {self.name} cannot be chosen by number; leave it out")
            settings["splits"] = {"videos": videos}
        return self.make(root, **settings)

    def all_videos(self, data: "VideoData") -> "list[AnnotatedVideo]":
        """Return the videos of all splits of a config of `make_whole`, each once."""
        splits = getattr(data, "splits", None) or self.whole_splits or self.splits
        return list({video.id: video for split in splits for video in data.videos(split)}.values())


def _mini() -> type[Any]:
    from saliency.datasets.mini import Mini

    return Mini


def _dhf1k() -> type[Any]:
    from saliency.datasets.dhf1k import DHF1K

    return DHF1K


def _hollywood2() -> type[Any]:
    from saliency.datasets.hollywood2 import Hollywood2

    return Hollywood2


def _ucf_sports() -> type[Any]:
    from saliency.datasets.ucf_sports import UCFSports

    return UCFSports


def _avimos() -> type[Any]:
    from saliency.datasets.avimos import AViMoS

    return AViMoS


def _crowdsal() -> type[Any]:
    from saliency.datasets.crowdsal import CrowdSAL

    return CrowdSAL


def _folder() -> type[Any]:
    from saliency.datasets.folder import Folder

    return Folder


def _stills() -> type[Any]:
    from saliency.datasets.stills import Stills

    return Stills


def _challenge(name: str, about: str, variable: str, year: int, repository: str) -> DataSet:
    return DataSet(
        name=name,
        about=about,
        config=_avimos,
        splits=("train", "val", "public_test", "private_test"),
        default_split="public_test",
        variable=variable,
        settings={"year": year},
        source=(f"https://huggingface.co/datasets/{repository}", "all its archives, unpacked where they are"),
        whole={"held_out": 0},
        whole_splits=("train", "public_test"),
    )


def _photographs(name: str, about: str, repository: str) -> DataSet:
    return DataSet(
        name=name,
        about=about,
        config=_stills,
        settings={"name": name},
        open=True,
        source=(f"https://github.com/{repository}", f"saliency data get {name}"),
    )


_PACK = (
    "its README links the pack of {} with maps: training/ and testing/; the recordings are at "
    "http://vision.imar.ro/eyetracking"
)

DATA_SETS: dict[str, DataSet] = {
    entry.name: entry
    for entry in (
        DataSet(name="mini", about="simulated videos, made on first use", config=_mini, built=True),
        DataSet(
            name="real",
            about="one real video watched by 17 people (DHF1K 002)",
            config=_mini,
            splits=("real",),
            default_split="real",
            built=True,
        ),
        DataSet(
            name="dhf1k",
            about="1000 videos watched freely by 17 people",
            config=_dhf1k,
            default_split="val",
            variable="DHF1K_ROOT",
            source=(
                "https://github.com/wenguanwang/DHF1K",
                "its README links the videos (video/001.AVI .. 1000.AVI) and the annotation of videos 1 to 700",
            ),
            whole={"may_be_empty": True},
            sizes={"train": 600, "val": 100, "test": 300},
        ),
        DataSet(
            name="hollywood2",
            about="clips of films, watched by 19 people",
            config=_hollywood2,
            variable="HOLLYWOOD2_ROOT",
            source=("https://github.com/wenguanwang/DHF1K", _PACK.format("Hollywood-2")),
            whole={"held_out": 0},
            whole_splits=("train", "test"),
        ),
        DataSet(
            name="ucf_sports",
            about="150 short videos of sports",
            config=_ucf_sports,
            variable="UCF_SPORTS_ROOT",
            source=("https://github.com/wenguanwang/DHF1K", _PACK.format("UCF Sports")),
            whole={"held_out": 0},
            whole_splits=("train", "test"),
        ),
        DataSet(
            name="crowdsal",
            about="5000 open videos, mouse fixations of 75 people each",
            config=_crowdsal,
            variable="CROWDSAL_ROOT",
            source=("https://huggingface.co/datasets/ANDRYHA/CrowdSAL", "its folders Train and Test"),
            whole={"held_out": 0},
            whole_splits=("train", "test"),
        ),
        _challenge(
            "avimos",
            "1500 open videos of AIM 2024, mouse fixations of 70 people each",
            "AVIMOS_ROOT",
            2024,
            "ANDRYHA/AudioVisualMouseSaliency",
        ),
        _challenge(
            "ntire2026",
            "2000 open videos of NTIRE 2026, mouse fixations of 70 people each",
            "NTIRE2026_ROOT",
            2026,
            "ANDRYHA/VideoSaliencyChallenge",
        ),
        _photographs("osie", "700 photographs looked at by 15 people", "NUS-VIP/predicting-human-gaze-beyond-pixels"),
        _photographs("crowd", "500 photographs of crowds looked at by 16 people", "NUS-VIP/saliency-in-crowd"),
        _photographs("scene", "500 photographs of scenes looked at by 10 to 12 people", "Yanakz/Scene"),
        DataSet(name="folder", about="videos of your own (docs/datasets.md)", config=_folder, splits=("test",)),
    )
}
"""Name -> data set of videos."""


def find(name: str) -> DataSet:
    """Return the data set of a name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in DATA_SETS:
        raise InputError(f"'{name}' is none of the data sets {', '.join(DATA_SETS)}{nearest(name, DATA_SETS)}")
    return DATA_SETS[name]
