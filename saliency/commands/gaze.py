"""Eye trackers' recordings: bring them onto a video, draw them over it, measure regions per viewer.

Examples:
    saliency gaze import P*.tsv --screen 1920x1080 --onset "VideoStimulusStart cat" --out my_study/gaze/cat.csv
    saliency gaze areas my_study cat --roi face=120,40,80,80
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from saliency.commands.arguments import parse_subcommands
from saliency.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from saliency.gaze.alignment import Aligned, Showing
    from saliency.gaze.gaze_samples import GazeSamples


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """Bring recordings of one video onto it and write DATA/gaze/NAME.csv.

    Viewers are numbered unless --keep-names: names identify people.

    Attributes:
        files: exports as text, of any number of viewers.
        out: the file to write, DATA/gaze/NAME.csv; the video is DATA/videos/NAME.
        format: whose export: tobii, pupil, eyelink, gazepoint, csv.
        screen: WIDTHxHEIGHT of the screen (or the scene camera's picture) in pixels; default: the video filled it.
        video_rect: x,y,width,height of the picture on the screen in pixels; default: as large as fits, centred.
        onset: text of the message that says when the video began, or seconds after the first sample.
        video: the video, if it is somewhere else.
        screen_cm: width of the screen's picture in cm; with --distance-cm degrees of visual angle are known.
        distance_cm: from the eyes to the screen.
        fixations: keep the samples of fixations: recorded (as the tracker's software says), idt or ivt (need
            degrees), or all samples; auto takes the first of these that is possible.
        keep_names: keep the viewers' names as they are in the files.
        replace: write over a gaze file that is there.
    """

    files: tyro.conf.Positional[tuple[Path, ...]]
    out: Path
    format: Literal["auto", "tobii", "pupil", "eyelink", "gazepoint", "csv"] = "auto"
    screen: str = ""
    video_rect: str = ""
    onset: str = ""
    video: Path | None = None
    screen_cm: float | None = None
    distance_cm: float | None = None
    fixations: Literal["auto", "recorded", "idt", "ivt", "all"] = "auto"
    keep_names: bool = False
    replace: bool = False

    def __call__(self) -> int:
        """Import."""
        from saliency.data.gaze_file import frame_starts, note_degree, write_gaze
        from saliency.gaze.alignment import Showing, align, fitted, pixels_per_degree, summary
        from saliency.gaze.reading import read
        from saliency.io.frames import open_frames

        if not self.files:
            raise InputError("name the recordings to import; saliency gaze import --help")
        if self.out.suffix.lower() != ".csv":
            raise InputError(f"--out {self.out}: name a file DATA/gaze/NAME.csv")
        if self.out.exists() and not self.replace:
            raise InputError(f"{self.out}: is there already; move it away, or add --replace to write over it")
        with open_frames(self.video or video_of(self.out)) as source:
            size, duration = source.size, float(frame_starts(source)[-1])
        screen = pixels("--screen", self.screen, "x", 2)[::-1] if self.screen else size
        given = (int(screen[0]), int(screen[1]))
        rect = pixels("--video-rect", self.video_rect, ",", 4) if self.video_rect else fitted(given, size)
        x, y, width, height = rect
        showing = Showing(screen=given, rect=(x, y, width, height), size=size, duration=duration)
        degree = None
        if self.screen_cm is not None and self.distance_cm is not None:
            degree = pixels_per_degree(given[1], width_cm=self.screen_cm, distance_cm=self.distance_cm)
        elif self.screen_cm is not None or self.distance_cm is not None:
            raise InputError("degrees of visual angle need both --screen-cm and --distance-cm")
        shares_of = given if self.screen else None
        recordings = [samples for path in self.files for samples in read(path, self.format, screen=shares_of)]
        check_names(recordings)
        viewers = [align(each, showing, self.onset, self._fixating(each, degree)) for each in recordings]
        if notes := dict.fromkeys(note for each in recordings for note in each.notes):
            print(f"found: {', '.join(notes)}")
        print(summary(viewers))
        refuse_strange(viewers, showing)
        named = [each.viewer if self.keep_names else f"v{k:02d}" for k, each in enumerate(viewers, start=1)]
        write_gaze(self.out, named, viewers)
        if degree is not None:
            share = showing.degree(degree)
            note_degree(self.out, share)
            print(
                f"one degree is {degree:.1f} pixels of the screen, {share:.4f} of the video's width: sigma of its maps"
            )
        print(f"gaze: {self.out}")
        return 0

    def _fixating(self, samples: "GazeSamples", degree: float | None) -> "np.ndarray | None":
        """The samples to keep, bool (n,); None: all with a position."""
        from saliency.gaze import fixations

        way = self.fixations
        if way == "auto":
            way = "recorded" if samples.fixating is not None else "idt" if degree is not None else "all"
        if way == "recorded" and samples.fixating is None:
            raise InputError(
                f"viewer {samples.viewer}: its file says of no sample that it is a fixation; use --fixations idt"
            )
        if way == "recorded":
            return samples.fixating
        if way == "all":
            return None
        if degree is None:
            raise InputError(f"--fixations {way} needs degrees of visual angle; add --screen-cm and --distance-cm")
        if way == "idt":
            return fixations.by_dispersion(samples.time, samples.xy, dispersion=fixations.DISPERSION * degree)
        return fixations.by_velocity(samples.time, samples.xy, velocity=fixations.VELOCITY * degree)


@dataclass(frozen=True, slots=True, kw_only=True)
class Areas:
    """How long, how soon and how often each viewer looked at regions of a video, as CSV.

    Attributes:
        data: folder of the study, with videos/ and gaze/.
        name: of the video, without its ending.
        roi: regions as in saliency report: NAME=X,Y,WIDTH,HEIGHT, NAME=X,Y:X,Y:X,Y, or NAME=FILE.csv.
        out: the file to write; default DATA/areas/NAME.csv.
    """

    data: tyro.conf.Positional[Path]
    name: tyro.conf.Positional[str]
    roi: tuple[str, ...]
    out: Path | None = None

    def __call__(self) -> int:
        """Measure."""
        import csv

        from saliency.attention.region_files import parse_regions
        from saliency.attention.viewers import visits
        from saliency.data.gaze_file import frame_starts
        from saliency.datasets.folder import Folder, as_patterns
        from saliency.io.atomic import write_atomic

        data = Folder(root=self.data, splits={"one": as_patterns([self.name])})
        video = data.video(
            *next((n, p) for n, p in data.names().items() if n in data.chosen("one", tuple(data.names())))
        )
        gaze = video.observers()
        if gaze is None:
            raise InputError(f"{self.data / 'gaze' / self.name}.csv: is missing; regions are measured on viewers' gaze")
        with video.open() as source:
            begin = frame_starts(source)
        found = visits(gaze, video.viewers(), parse_regions(self.roi, video.size, video.fps), begin)
        out = self.out or self.data / "areas" / f"{self.name}.csv"
        out.parent.mkdir(parents=True, exist_ok=True)
        with write_atomic(out) as file:
            table = csv.writer(file)
            table.writerow(("viewer", "region", "dwell_s", "dwell_share", "first_look_s", "visits", "revisits"))
            for each in found:
                numbers = (f"{value:.3f}" if value == value else "" for value in (each.dwell, each.share, each.first))
                table.writerow((each.viewer, each.region, *numbers, each.visits, each.revisits))
        for region in dict.fromkeys(each.region for each in found):
            own = [each for each in found if each.region == region]
            came = [each.first for each in own if each.visits]
            soon = f", the first after {min(came):.2f} s" if came else ""
            mean = sum(each.dwell for each in own) / len(own)
            print(f"{region}: {len(came)} of {len(own)} viewers looked at it{soon}; mean dwell time {mean:.2f} s")
        print(f"areas: {out}")
        return 0


COMMANDS = {"import": Import, "areas": Areas}


def main(words: Sequence[str]) -> int:
    """Run the command."""
    return parse_subcommands(COMMANDS, words, command="gaze", description=__doc__ or "")()


def video_of(out: Path) -> Path:
    """Return the video of a gaze file DATA/gaze/NAME.csv.

    Raises:
        InputError: there is none.
    """
    from saliency.datasets.folder import Folder

    root = out.resolve().parent.parent
    there = Folder(root=root).names() if (root / "videos").is_dir() else {}
    if out.stem not in there:
        raise InputError(f"{root / 'videos' / out.stem}: no such video; put it there, or name it with --video")
    return there[out.stem]


def pixels(option: str, text: str, separator: str, count: int) -> tuple[float, ...]:
    """Read numbers like 1920x1080.

    Raises:
        InputError: it is something else.
    """
    try:
        found = tuple(float(part) for part in text.lower().split(separator))
    except ValueError:
        found = ()
    if len(found) != count or any(not 0 <= each < 1e6 for each in found):
        shape = separator.join(("x", "y", "width", "height")[-count:])
        raise InputError(f"{option} {text}: write {count} numbers, {shape} in pixels")
    return found


def check_names(recordings: "Sequence[GazeSamples]") -> None:
    """Refuse two recordings of one viewer: their gaze would be mixed.

    Raises:
        InputError: names the viewer.
    """
    names = [each.viewer for each in recordings]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"viewer '{twice}' comes twice; give each file once, and each viewer a name of its own")


def refuse_strange(viewers: "Sequence[Aligned]", showing: "Showing") -> None:
    """Refuse gaze most of which misses the picture: the geometry must be wrong.

    Raises:
        InputError: names the worst viewer.
    """
    worst = max(viewers, key=lambda each: each.outside)
    if worst.outside > 0.5:
        place = ",".join(f"{side:g}" for side in showing.rect)
        raise InputError(
            f"viewer {worst.viewer}: {100 * worst.outside:.0f} % of the looks lie outside of the picture "
            f"({place} of a screen of {showing.screen[1]}x{showing.screen[0]}); correct --screen or --video-rect"
        )
