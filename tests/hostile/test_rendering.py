"""Films and maps: an older complete one stays until the new one is complete, whatever goes wrong on the way."""

import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from saliency.errors import InputError
from saliency.inference.outputs import Outputs, outputs_at, outputs_in
from saliency.inference.painters import Look
from saliency.inference.render import render
from saliency.io.frame_source import FrameSource
from saliency.io.frames import open_frames
from saliency.io.maps import write_density, write_fixations
from saliency.io.stamped import read_stamp, scene
from saliency.io.video_writer import VideoWriter

pytestmark = pytest.mark.hostile("films and maps")

SIZE = (36, 64)


class Scenes(FrameSource):
    """Frames made as they are asked for; `breaks` is what happens at a frame."""

    def __init__(self, path, count=8, breaks=None, size=SIZE, announced=None):
        self.path, self.count, self.fps, self.size = Path(path), count, 25.0, size
        self.breaks, self.told = breaks or {}, announced

    @property
    def announced(self):
        return self.told

    def __len__(self):
        return self.count

    def read(self, indices):
        return np.stack([scene(i, self.size) for i in indices])

    def iterate(self, start=0, stop=None):
        for i in range(start, self.count if stop is None else stop):
            if i in self.breaks:
                raise self.breaks[i]
            yield scene(i, self.size)

    def close(self):
        pass


class Ramps:
    """Map i depends on i; `breaks` is what happens at a frame; `meet` is called before each."""

    def __init__(self, breaks=None, meet=lambda: None):
        self.breaks, self.meet = breaks or {}, meet

    def maps(self, source):
        for i, _ in enumerate(source.iterate()):
            self.meet()
            if i in self.breaks:
                raise self.breaks[i]
            yield i, torch.linspace(0, 1 + i, 64).repeat(36, 1)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def stamps(path: Path) -> list[int]:
    with open_frames(path) as source:
        return [read_stamp(frame) for frame in source.iterate()]


def complete(tmp_path: Path, maps="png", count=8) -> dict[str, bytes]:
    """What a first, undisturbed call leaves."""
    source = Scenes(tmp_path / "clip", count)
    assert render(source, Ramps(), outputs_in(tmp_path / "out", source, maps)).problem is None
    return content(tmp_path / "out")


KINDS = ("png", "npy", "npz", "mp4")
MAPS = {"png": "clip_maps", "npy": "clip_maps", "npz": "clip_maps.npz", "mp4": "clip_maps.mp4"}
BROKEN = {"png": "clip_maps.partial", "npy": "clip_maps.partial"}
BROKEN |= {"npz": "clip_maps.partial.npz", "mp4": "clip_maps.partial.mp4"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("frame 5 is NaN"), RuntimeError("a bug")], ids=repr)
def test_an_interruption_keeps_the_older_film(tmp_path, kind, error):
    before = complete(tmp_path, kind)
    source = Scenes(tmp_path / "clip", 30)
    with pytest.raises(type(error)) as caught:
        render(source, Ramps({5: error}), outputs_in(tmp_path / "out", source, kind))
    after = content(tmp_path / "out")
    assert {name: after.get(name) for name in before} == before
    assert stamps(tmp_path / "out" / "clip_saliency.partial.mp4") == list(range(5))
    notes = " ".join(caught.value.__notes__)
    assert "clip_saliency.partial.mp4" in notes and BROKEN[kind] in notes
    assert {name.split("/")[0] for name in after} == {
        "clip_saliency.mp4",
        "clip_saliency.partial.mp4",
        MAPS[kind],
        BROKEN[kind],
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_map_that_is_not_finite_is_refused(tmp_path, value):
    """One pixel of one map: the frame is named, the older film stays."""

    class Broken(Ramps):
        def maps(self, source):
            for i, each in super().maps(source):
                each[3, 5] = value if i == 4 else 0.5
                yield i, each

    before = complete(tmp_path)
    source = Scenes(tmp_path / "clip")
    with pytest.raises(InputError, match="the map of frame 4 is not finite"):
        render(source, Broken(), outputs_in(tmp_path / "out", source, "png"))
    after = content(tmp_path / "out")
    assert {name: after.get(name) for name in before} == before


@pytest.mark.parametrize("style", ["overlay", "heat", "contour"])
@pytest.mark.parametrize("peak", ["nan", "inf", "-inf", "0", "-1"])
def test_a_peak_that_is_none_is_refused(style, peak):
    with pytest.raises(InputError, match="--peak must be a number above 0"):
        Look(style=style, peak=float(peak)).painter()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "damage", [{"breaks": {5: InputError("clip: is cut off")}}, {"count": 5, "announced": 9}], ids=["cut", "short"]
)
def test_a_damaged_source_keeps_the_older_film(tmp_path, kind, damage):
    before = complete(tmp_path, kind)
    source = Scenes(tmp_path / "clip", **damage)
    written = render(source, Ramps(), outputs_in(tmp_path / "out", source, kind))
    assert written.problem is not None and written.frames == 5
    assert written.picture == tmp_path / "out" / "clip_saliency.partial.mp4"
    assert written.maps == tmp_path / "out" / BROKEN[kind]
    after = content(tmp_path / "out")
    assert {name: after.get(name) for name in before} == before
    assert stamps(written.picture) == list(range(5))


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_complete_one_takes_the_place(tmp_path, kind):
    complete(tmp_path, kind, count=12)
    source = Scenes(tmp_path / "clip", breaks={3: InputError("cut")})
    render(source, Ramps(), outputs_in(tmp_path / "out", source, kind))
    whole = complete(tmp_path, kind, count=4)
    assert not any("partial" in name for name in whole)
    assert stamps(tmp_path / "out" / "clip_saliency.mp4") == [0, 1, 2, 3]
    if kind in ("png", "npy"):
        assert len(list((tmp_path / "out" / "clip_maps").glob(f"*.{kind}"))) == 4
    again = complete(tmp_path / "again", kind, count=4)
    assert whole.keys() == again.keys()
    assert all(whole[name] == again[name] for name in whole if not name.endswith(".mp4"))


@pytest.mark.parametrize("name", ["0001.png", "0500.png", "0003.npy", "notes.txt", "sub/0001.png", ".hidden"])
def test_foreign_files_in_the_folder_of_maps_are_left_alone(tmp_path, name):
    foreign = tmp_path / "out" / "clip_maps" / name
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"precious")
    before = content(tmp_path / "out")
    source = Scenes(tmp_path / "clip")
    with pytest.raises(InputError, match=f"holds {name.split('/')[0]}, which is no map of an earlier call"):
        render(source, Ramps(), outputs_in(tmp_path / "out", source, "png"))
    assert content(tmp_path / "out") == before


def test_a_foreign_file_among_our_maps_is_left_alone(tmp_path):
    complete(tmp_path)
    foreign = tmp_path / "out" / "clip_maps" / "0009.png"
    foreign.write_bytes(b"precious")
    before = content(tmp_path / "out")
    source = Scenes(tmp_path / "clip")
    with pytest.raises(InputError, match=r"holds 0009\.png"):
        render(source, Ramps(), outputs_in(tmp_path / "out", source, "png"))
    assert content(tmp_path / "out") == before


def test_a_call_killed_while_it_began_a_folder_of_maps_can_be_made_again(tmp_path):
    """All that is there is half of the file that tells which maps are ours."""
    half = tmp_path / "out" / "clip_maps.partial" / "..maps.q0_z1abc.json"
    half.parent.mkdir(parents=True)
    half.write_text('{"ki')
    assert "clip_maps/0001.png" in complete(tmp_path)
    assert not half.parent.exists()


def test_a_call_killed_while_it_removed_the_older_maps_can_be_made_again(tmp_path, monkeypatch):
    complete(tmp_path, count=8)
    unlink, left = Path.unlink, iter(range(3))

    def stop(path, missing_ok=False):
        if "clip_maps.partial" in str(path) and ".maps." not in path.name and next(left, None) is None:
            raise PermissionError(13, "not now")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", stop)
    with pytest.raises(InputError, match="cannot be finished"):
        complete(tmp_path, count=4)
    monkeypatch.undo()
    after = content(tmp_path / "out")
    assert sum("clip_maps.partial" in name for name in after) == 6  # 5 of 8 maps, and what tells that they are ours
    assert sum(name.startswith("clip_maps/") for name in complete(tmp_path, count=4)) == 5
    assert not (tmp_path / "out" / "clip_maps.partial").exists()


def test_a_foreign_file_that_comes_meanwhile_is_left_alone(tmp_path):
    before = complete(tmp_path)
    foreign = tmp_path / "out" / "clip_maps" / "notes.txt"
    source = Scenes(tmp_path / "clip", 3)
    with pytest.raises(InputError, match=r"holds notes\.txt"):
        render(source, Ramps(meet=lambda: foreign.write_text("precious")), outputs_in(tmp_path / "out", source, "png"))
    after = content(tmp_path / "out")
    assert foreign.read_text() == "precious"
    assert {name: after.get(name) for name in before if "maps" in name} == {
        n: d for n, d in before.items() if "maps" in n
    }


@pytest.mark.parametrize(
    "mark",
    ["", "{", "[]", "5", '{"maps": "many"}', '{"kind": "png", "maps": 1e999}', '{"kind": "png", "maps": 10000000000}'],
)
def test_a_damaged_mark_loses_nothing(tmp_path, mark):
    complete(tmp_path)
    (tmp_path / "out" / "clip_maps" / ".maps.json").write_text(mark)
    (tmp_path / "out" / "clip_maps" / "9999.png").write_bytes(b"precious")
    before = content(tmp_path / "out")
    source = Scenes(tmp_path / "clip")
    with pytest.raises(InputError, match="no map of an earlier call"):
        render(source, Ramps(), outputs_in(tmp_path / "out", source, "png"))
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize("kind", KINDS)
def test_two_runs_into_one_place(tmp_path, kind):
    """Two sources of one name, at the same time: one is refused, the other's files are whole."""
    barrier = threading.Barrier(2, timeout=30)
    met = threading.local()

    def run(place: str, count: int):
        source = Scenes(tmp_path / place / "clip", count)

        def meet() -> None:
            if not getattr(met, "done", False):
                met.done = True
                barrier.wait()

        try:
            return render(source, Ramps(meet=meet), outputs_in(tmp_path / "out", source, kind)).frames
        except InputError as error:
            barrier.wait()
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(run, ("a", "b"), (5, 9)))
    words = next(each for each in found if isinstance(each, str))
    frames = next(each for each in found if isinstance(each, int))
    assert "somebody else is writing it" in words and frames in (5, 9)
    assert stamps(tmp_path / "out" / "clip_saliency.mp4") == list(range(frames))
    assert not [name for name in content(tmp_path / "out") if "partial" in name]


def test_the_source_is_never_written_over(tmp_path):
    film = tmp_path / "clip.mp4"
    with VideoWriter(film, 25, SIZE) as writer:
        for i in range(4):
            writer.write(scene(i, SIZE))
    (tmp_path / "link.mp4").symlink_to(film)
    film.rename(tmp_path / "film.partial.mp4")
    (tmp_path / "clip.mp4").hardlink_to(tmp_path / "film.partial.mp4")
    before = content(tmp_path)
    for target in ("clip.mp4", "film.mp4", "film.partial.mp4", "link.mp4"):
        with open_frames(tmp_path / "clip.mp4") as source:
            with pytest.raises(InputError, match="is the source itself"):
                render(source, Ramps(), outputs_at(tmp_path / target, source))
            with pytest.raises(InputError, match="is the source itself"):
                render(source, Ramps(), Outputs(picture=None, maps=tmp_path / target, map_format="mp4"))
    assert content(tmp_path) == before


@pytest.mark.parametrize("name", ["x" * 250, "é" * 120, "two\nlines", "-rf", "a b;c", "😀" * 60])
def test_odd_and_long_names_of_sources(tmp_path, name):
    source = Scenes(tmp_path / name, 2)
    written = render(source, Ramps(), outputs_in(tmp_path / "out", source, "png"))
    assert written.picture is not None and stamps(written.picture) == [0, 1]
    assert {path.parent for path in (tmp_path / "out").iterdir()} == {tmp_path / "out"}


def test_a_folder_where_the_film_should_go(tmp_path):
    (tmp_path / "out" / "clip_saliency.mp4").mkdir(parents=True)
    source = Scenes(tmp_path / "clip")
    with pytest.raises(InputError, match="is a folder; move it away"):
        render(source, Ramps(), outputs_in(tmp_path / "out", source))
    (tmp_path / "out" / "clip_maps").write_text("precious")
    with pytest.raises(InputError, match="is no folder; move it away"):
        render(source, Ramps(), Outputs(picture=None, maps=tmp_path / "out" / "clip_maps"))
    assert (tmp_path / "out" / "clip_maps").read_text() == "precious"


def test_the_first_error_is_the_one_told(tmp_path, monkeypatch):
    """A failure while closing does not hide what stopped the body, whatever kind it is."""
    for i, later in enumerate((OSError("disk"), ValueError("bug"), MemoryError())):
        writer = VideoWriter(tmp_path / f"{i}.mp4", 25, SIZE)
        monkeypatch.setattr(writer, "_check", lambda later=later: (_ for _ in ()).throw(later))
        monkeypatch.setattr(writer._part, "keep", lambda later=later: (_ for _ in ()).throw(later))
        with pytest.raises(RuntimeError, match="the first"), writer:
            writer.write(scene(0, SIZE))
            raise RuntimeError("the first")


def test_a_film_that_lacks_frames_does_not_get_the_name(tmp_path):
    """FFmpeg does not report every failed write: the frames in the file are counted."""
    (tmp_path / "a.mp4").write_bytes(b"older")
    writer = VideoWriter(tmp_path / "a.mp4", 25, SIZE)
    with pytest.raises(InputError, match="2 of 3 frames"), writer:
        writer.write(scene(0, SIZE))
        writer.write(scene(1, SIZE))
        writer.frames += 1
    assert (tmp_path / "a.mp4").read_bytes() == b"older"


def film(folder: Path) -> None:
    with VideoWriter(folder / "a.mp4", 25, SIZE) as writer:
        for i in range(12):
            writer.write(scene(i, SIZE))


def film_and_maps(folder: Path) -> int:
    source = Scenes(folder / "clip", 3)
    return 2 if render(source, Ramps(), outputs_in(folder, source, "png")).problem else 0


def film_and_archive(folder: Path) -> int:
    source = Scenes(folder / "clip", 3)
    return 2 if render(source, Ramps(), outputs_in(folder, source, "npz")).problem else 0


def single_maps(folder: Path) -> None:
    ramp = np.linspace(0, 1, 64 * 36, dtype=np.float32).reshape(SIZE)
    write_density(folder / "a.png", ramp)
    write_density(folder / "a.npy", ramp)
    write_fixations(folder / "b.png", ramp > 0.99)
    write_fixations(folder / "b.mat", ramp > 0.99)


def same(found: Path, wanted: Path) -> bool:
    """Equal bytes; films, which x264 now and then writes a few bytes longer, by their frames."""
    if found.suffix == ".mp4" and not wanted.read_bytes().endswith(b"older"):
        return found.read_bytes() == wanted.read_bytes() or stamps(found) == stamps(wanted)
    return found.read_bytes() == wanted.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("action", [film, film_and_maps, film_and_archive, single_maps], ids=lambda a: a.__name__)
@pytest.mark.parametrize("older", [False, True], ids=["fresh", "older"])
def test_every_write_that_fails(faults, tmp_path, action, older):
    """Old or new, never half; what is not complete says so in its name, and is left only when that is told."""
    before = tmp_path / "before"
    before.mkdir()
    if older:
        action(before)
        for path in before.rglob("*.*"):
            if path.is_file() and not path.name.startswith("."):
                path.write_bytes(path.read_bytes() + b"older")
    trials = faults.sweep(action, before, tmp_path / "trials", most=8 if action is film_and_maps else 12)
    assert len(trials) > 10
    for trial in trials:
        problems = [p for p in faults.wrong(trial, same) if ".partial" not in p]
        assert not problems, f"{trial}: {problems}, status {trial.status}: {trial.words}"
        assert trial.status != 1, f"{trial}: {trial.words}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_infer_stopped_by_a_signal(tmp_path, number):
    """One line that says where the frames are; the older film and maps stay."""
    with VideoWriter(tmp_path / "clip.mp4", 25, (64, 96)) as writer:
        for i in range(400):
            writer.write(scene(i, (64, 96)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "clip_saliency.mp4").write_bytes(b"older")
    command = [
        sys.executable,
        "-m",
        "saliency",
        "infer",
        "clip.mp4",
        "--out",
        "out",
        "--maps",
        "png",
        "--device",
        "cpu",
    ]
    started = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    heed = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # a shell's background ignores Ctrl-C
    with subprocess.Popen(command, cwd=tmp_path, **started, **heed) as process:
        part = tmp_path / "out" / "clip_maps.partial" / "0006.png"  # the film may be some frames behind
        for _ in range(2000):  # a busy machine takes its time to start
            if part.exists() or process.poll() is not None:
                break
            threading.Event().wait(0.1)
        process.send_signal(number)
        _, words = process.communicate(timeout=60)
    assert process.returncode == 128 + number and len(words.splitlines()) == 1, words
    assert "clip_saliency.partial.mp4" in words
    with av.open(str(tmp_path / "out" / "clip_saliency.partial.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 2
    assert (tmp_path / "out" / "clip_saliency.mp4").read_bytes() == b"older"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "clip_saliency.mp4",
        "clip_saliency.partial.mp4",
        "clip_maps.partial",
        ".saliency-infer.jsonl",  # what is complete in this folder; here nothing
    }
    assert not [p for p in (tmp_path / "out").rglob(".*") if p.name not in (".maps.json", ".saliency-infer.jsonl")]
    assert json.loads((tmp_path / "out" / "clip_maps.partial" / ".maps.json").read_text())["maps"] >= 2
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", "out"}
