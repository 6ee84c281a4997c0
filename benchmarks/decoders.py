"""Which decoder gives exactly frame i? `python benchmarks/decoders.py [--folder VIDEOS]`.

Every picture of the test videos carries its own number. The videos are made here, with the encoders that come with
PyAV (`saliency/io/stamped.py`), and some of them damaged; a folder adds others.

For each file and decoder: single frames at random places, each from a fresh reader; random runs of 32 frames from
one reader; and, for our decoders, the whole file in order. "ok" means every one was exact. Frame i is the i-th
picture of decoding from the beginning (by PyAV), whose numbers must count up by one.

The decoders of this project are shown beside the plain packages, to see what they would have done with the files
that are refused. Packages that are not installed are left out.
"""

import datetime
import importlib.metadata
import importlib.util
import itertools
import multiprocessing
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import av
import numpy as np
import tyro
from av.error import FFmpegError

from saliency.commands.main import exit_with
from saliency.errors import InputError
from saliency.io.frames import Decoder, open_frames
from saliency.io.stamped import RECIPES, read_stamp, write_stamped
from saliency.runtime.environment import environment

RESULTS = Path(__file__).parent / "results"
RUN = 32
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to measure.

    Attributes:
        folder: more test videos with numbers in their pictures.
        about: what these are, for their heading.
        frames: length of the videos made here (one is shorter).
        singles: single frames read of each file.
        runs: runs of 32 frames read of each file.
        seed: of the random places.
        jobs: files examined at the same time.
        output: Markdown file to write; default benchmarks/results/<date>-decoders.md.
        write: whether to write it.
    """

    folder: Path | None = None
    about: str = "Given videos"
    frames: int = 200
    singles: int = 62
    runs: int = 6
    seed: int = 0
    jobs: int = 1
    output: Path | None = None
    write: bool = True


class Reader(Protocol):
    """What is asked of a decoder."""

    def __len__(self) -> int:
        """Number of frames."""
        ...

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Return frames (n, H, W, 3)."""
        ...


class PlainDecord:
    """decord as it comes."""

    def __init__(self, path: Path) -> None:
        decord = importlib.import_module("decord")
        self._reader: Any = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)

    def __len__(self) -> int:
        return len(self._reader)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Return frames."""
        return self._reader.get_batch(list(indices)).asnumpy()


class PlainTorchCodec:
    """torchcodec in its exact mode."""

    def __init__(self, path: Path) -> None:
        decoders = importlib.import_module("torchcodec.decoders")
        self._decoder: Any = decoders.VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1)

    def __len__(self) -> int:
        return len(self._decoder)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Return frames."""
        return self._decoder.get_frames_at(list(indices)).data.numpy()


class PlainPyAV:
    """The usual way: seek to the time of the frame, decode until its presentation time is reached."""

    def __init__(self, path: Path) -> None:
        self._container = av.open(str(path))
        self._stream = self._container.streams.video[0]
        self._pts = sorted(
            p.pts for p in self._container.demux(self._stream) if p.size and p.pts is not None and not p.is_discard
        )

    def __len__(self) -> int:
        return len(self._pts)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Return frames."""
        found = []
        for i in indices:
            self._container.seek(self._pts[i], stream=self._stream)
            for frame in self._container.decode(self._stream):
                if frame.pts is not None and frame.pts >= self._pts[i]:
                    found.append(frame.to_ndarray(format="rgb24"))
                    break
            else:
                raise RuntimeError("frame not found")
        return np.stack(found)


def ours(decoder: Decoder) -> Callable[[Path], Reader]:
    """Return the opener of one of our decoders."""
    return lambda path: open_frames(path, decoder)


@contextmanager
def opened(opener: Callable[[Path], R], path: Path) -> Iterator[R]:
    """Open and, if possible, close."""
    reader = opener(path)
    try:
        yield reader
    finally:
        close = getattr(reader, "close", None)
        if close is not None:
            close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A file as decoded from its beginning: the numbers in its pictures, how they are stored, what went wrong."""

    numbers: list[int | None]
    stored: tuple[int, int]
    problem: str

    def number(self, frame: np.ndarray) -> int | None:
        """Return the number in a frame, which may have been turned upright."""
        if frame.shape[:2] == self.stored:
            return read_stamp(frame)
        return next((n for k in (1, 3) if (n := read_stamp(np.rot90(frame, k))) is not None), None)


def truth_of(path: Path) -> Truth:
    """Decode a file from its beginning.

    Raises:
        FFmpegError: it cannot be opened.
    """
    numbers: list[int | None] = []
    stored, problem = (0, 0), ""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        try:
            for frame in container.decode(video=0):
                picture = frame.to_ndarray(format="rgb24")
                stored = picture.shape[:2]
                numbers.append(read_stamp(picture))
        except FFmpegError as error:
            problem = f"decoding fails after {len(numbers)}: {getattr(error, 'strerror', error)}"
    first = numbers[0] or 0
    wrong = sum(n != first + i for i, n in enumerate(numbers))
    if wrong:
        problem = f"{problem}; " * bool(problem) + f"{wrong} pictures do not carry the next number"
    return Truth(numbers=numbers, stored=stored, problem=problem)


def judge(opener: Callable[[Path], Reader], path: Path, truth: Truth, options: Options, whole: bool) -> str:
    """Return how exact a decoder is on a file, in a few words."""
    rng = random.Random(options.seed)
    count = len(truth.numbers)
    try:
        with opened(opener, path) as reader:
            length = len(reader)
    except InputError as error:
        return "refused: " + str(error).partition(": ")[2].partition("; ")[0]
    except Exception as error:
        return f"does not open ({type(error).__name__})"
    words = [] if length == count else [f"len {length}"]

    exact, errors = 0, 0
    for _ in range(options.singles):
        i = rng.randrange(count)
        try:
            with opened(opener, path) as reader:
                exact += truth.number(reader.read([i])[0]) == truth.numbers[i]
        except Exception:
            errors += 1
    runs = 0
    with opened(opener, path) as reader:
        for _ in range(options.runs):
            begin = rng.randrange(max(1, count - RUN))
            wanted = range(begin, min(begin + RUN, count))
            try:
                runs += [truth.number(f) for f in reader.read(wanted)] == [truth.numbers[i] for i in wanted]
            except Exception:
                errors += 1
    if exact < options.singles or runs < options.runs:
        words.append(f"**{exact}/{options.singles}, runs {runs}/{options.runs}**")
    if errors:
        words.append(f"{errors} errors")
    if whole:
        words += in_order(opener, path, truth)
    return ", ".join(words) or "ok"


def in_order(opener: Callable[[Path], Any], path: Path, truth: Truth) -> list[str]:
    """Return what is wrong when a file is read from beginning to end."""
    numbers: list[int | None] = []
    words = []
    with opened(opener, path) as reader:
        try:
            numbers.extend(truth.number(f) for f in reader.iterate())
        except InputError:
            words.append(f"damage noticed after {len(numbers)} in order")
        announced = reader.announced
    if numbers != truth.numbers[: len(numbers)]:
        words.append("**in order wrong**")
    if announced not in (None, len(truth.numbers)):
        words.append(f"damage noticed (header: {announced})")
    return words


def decoders() -> dict[str, tuple[Callable[[Path], Reader], bool]]:
    """Name -> (opener, whether it is one of ours), for what is installed here."""
    found: dict[str, tuple[Callable[[Path], Reader], bool]] = {
        "pyav": (ours("pyav"), True),
        "plain PyAV": (PlainPyAV, False),
    }
    if importlib.util.find_spec("decord"):
        found |= {"decord": (ours("decord"), True), "plain decord": (PlainDecord, False)}
    if importlib.util.find_spec("torchcodec"):
        found |= {"torchcodec": (ours("torchcodec"), True), "plain torchcodec": (PlainTorchCodec, False)}
    return found


def make_videos(folder: Path, frames: int) -> None:
    """Write every kind of test video that this PyAV can encode, a short one, and damaged ones."""
    for name, recipe in RECIPES.items():
        try:
            write_stamped(folder / f"{name}{recipe.suffix}", recipe, frames)
        except FFmpegError as error:
            print(f"{name}: cannot be encoded here ({error})", file=sys.stderr)
    write_stamped(folder / "short7.mp4", RECIPES["h264_gop12"], 7)
    avi, mp4 = folder / "mpeg4_gop12_avi.avi", folder / "h264_gop12.mp4"
    with av.open(str(mp4)) as given, av.open(str(folder / "whole.mp4"), "w", options={"movflags": "faststart"}) as out:
        copy = out.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    whole = (folder / "whole.mp4").read_bytes()
    (folder / "whole.mp4").unlink()
    (folder / "damaged_cut_index_first.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    (folder / "damaged_cut_index_last.mp4").write_bytes(mp4.read_bytes()[: mp4.stat().st_size * 6 // 10])
    (folder / "damaged_cut.avi").write_bytes(avi.read_bytes()[: avi.stat().st_size * 6 // 10])
    for path, length in ((avi, 20_000), (mp4, 8_000)):
        data = bytearray(path.read_bytes())
        data[len(data) // 2 : len(data) // 2 + length] = random.Random(0).randbytes(length)
        (folder / f"damaged_middle{path.suffix}").write_bytes(data)
    (folder / "damaged_empty.mp4").write_bytes(b"")
    (folder / "damaged_text.mp4").write_bytes(b"just some text\n" * 40)


def table(folder: Path, options: Options) -> list[str]:
    """Return the Markdown table of all videos of a folder."""
    chosen = decoders()
    lines = [
        "| file | frames | " + " | ".join(chosen) + " |",
        "|---|---:|" + "---|" * len(chosen),
    ]
    print("\n".join(lines))
    paths = [p for p in sorted(folder.iterdir()) if p.is_file() and p.suffix.lower() not in (".md", ".txt", ".json")]
    # spawned, because open decoders do not survive a fork
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for line in pool.map(row, paths, itertools.repeat(options)):
            lines.append(line)
            print(line, flush=True)
    return lines


def row(path: Path, options: Options) -> str:
    """Return the line of the table for one video."""
    try:
        truth = truth_of(path)
    except (FFmpegError, IndexError):
        truth = Truth(numbers=[], stored=(0, 0), problem="cannot be opened")
    cells = []
    for opener, own in decoders().values():
        if truth.numbers:
            cells.append(judge(opener, path, truth, options, whole=own))
        else:
            cells.append(_refusal(opener, path))
    note = f" ({truth.problem})" if truth.problem else ""
    return f"| {path.name} | {len(truth.numbers)}{note} | " + " | ".join(cells) + " |"


def _refusal(opener: Callable[[Path], Reader], path: Path) -> str:
    try:
        with opened(opener, path) as reader:
            return f"opens, len {len(reader)}"
    except InputError:
        return "refused"
    except Exception as error:
        return f"does not open ({type(error).__name__})"


def main() -> int:
    """Run the benchmark."""
    options = tyro.cli(Options, description=__doc__)
    if options.folder is not None and not options.folder.is_dir():
        raise InputError(f"{options.folder}: no such folder")
    heading = _heading(options)  # names the commit that is measured
    with tempfile.TemporaryDirectory() as folder:
        make_videos(Path(folder), options.frames)
        lines = [f"## Videos made by the script, {options.frames} frames each", "", *table(Path(folder), options)]
    if options.folder is not None:
        lines += ["", f"## {options.about}", "", *table(options.folder, options)]
    if options.write:
        output = options.output or RESULTS / f"{datetime.date.today()}-decoders.md"
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text("\n".join([*heading, *lines, ""]), encoding="utf-8")
        print(f"written: {output}")
    return 0


def _heading(options: Options) -> list[str]:
    facts: dict[str, Any] = environment()
    packages = [f"{k} {facts['versions'][k]}" for k in ("python", "av", "torch")]
    for name in ("decord", "torchcodec"):
        if importlib.util.find_spec(name):
            packages.append(f"{name} {importlib.metadata.version(name)}")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    ).stdout.strip()
    return [
        "# Exactness of the decoders, frame by frame",
        "",
        f"- Command: `python benchmarks/decoders.py{' --folder ...' * (options.folder is not None)}`, "
        f"commit {commit or 'unknown'}, {datetime.date.today()}",
        f"- {facts['hardware']['cpu']}, {facts['hardware']['cores']} cores; {', '.join(packages)}; "
        f"PyAV's FFmpeg: libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}",
        f"- {options.singles} single frames from fresh readers and {options.runs} runs of {RUN} of each file; ok = "
        "all exact. The plain columns show the packages without this project's index and refusals.",
        "",
    ]


if __name__ == "__main__":
    exit_with(main)
