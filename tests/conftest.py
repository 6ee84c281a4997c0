"""What tests of several folders need: tiny videos, annotated ones made on the fly, published models' golden weights."""

import functools
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from saliency.data.video import AnnotatedVideo
from saliency.datasets.folder import Folder
from saliency.errors import InputError
from saliency.io.stamped import scene
from saliency.io.weights import load_weights
from saliency.models.tmfi_net import TMFINet, TMFINetConfig
from saliency.models.vinet_a import ViNetA, ViNetAConfig
from saliency.models.vinet_s import ViNetS, ViNetSConfig

# One thread per test process: on a busy machine waiting threads cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that tests start
torch.set_num_threads(1)

HEIGHT, WIDTH = 48, 64


def level(i: int) -> int:
    """Grey level of frame i: tells the frames of a video of up to 60 frames apart after coding."""
    return 8 + 4 * i


def grey_frame(i: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.full((height, width, 3), level(i), dtype=np.uint8)


def write_video(path: Path, num_frames: int, height: int = HEIGHT, width: int = WIDTH) -> Path:
    """Encode frames that are uniformly grey, mpeg4 in AVI as in DHF1K."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30, options={"qmin": "1", "qmax": "2"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size, stream.bit_rate = 5, 10_000_000  # grey levels stay within 1
        for i in range(num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey_frame(i, height, width), "rgb24")))
        container.mux(stream.encode())
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class DotVideo(AnnotatedVideo):
    """One fixation a frame, at x = i, y = i // 2; `broken` frames cannot be read, `blank` ones are empty."""

    broken: frozenset[int] = frozenset()
    blank: frozenset[int] = frozenset()

    def fixations(self, i: int) -> np.ndarray:
        fixated = np.zeros(self.size, dtype=bool)
        if i not in self.blank:
            fixated[i // 2, i] = True
        return fixated

    def density(self, i: int) -> np.ndarray:
        if i in self.broken:
            raise InputError(f"map {i} of {self.id} cannot be read; replace it")
        density = np.zeros(self.size, dtype=np.float32)
        if i not in self.blank:
            density[max(0, i // 2 - 1) : i // 2 + 2, max(0, i - 1) : i + 2] = 1
        return density


@pytest.fixture(name="level")
def level_fixture() -> Callable[[int], int]:
    return level


@pytest.fixture
def make_video() -> Callable[..., Path]:
    return write_video


@pytest.fixture
def dot_videos(tmp_path: Path) -> Callable[..., list[AnnotatedVideo]]:
    def make(*lengths: int, **kwargs) -> list[AnnotatedVideo]:
        return [
            DotVideo(
                id=f"{k:03d}",
                path=write_video(tmp_path / f"{k:03d}.AVI", n),
                num_frames=n,
                size=(HEIGHT, WIDTH),
                **kwargs,
            )
            for k, n in enumerate(lengths)
        ]

    return make


def write_maps(folder: Path, stems: list[str], height: int = HEIGHT, width: int = WIDTH, suffix: str = ".png") -> None:
    """Write maps whose frame i has its only fixation at x = i, y = i // 2, as `DotVideo`."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, stem in enumerate(stems):
        values = np.zeros((height, width), dtype=np.uint8)
        values[i // 2, i] = 255
        if suffix == ".png":
            Image.fromarray(values).save(folder / f"{stem}.png")
        else:
            savemat(folder / f"{stem}.mat", {"I": values // 255})


def write_frames(folder: Path, stems: list[str], height: int = HEIGHT, width: int = WIDTH) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, stem in enumerate(stems):
        Image.fromarray(grey_frame(i, height, width)).save(folder / f"{stem}.png")


@pytest.fixture
def dhf1k_tree(tmp_path: Path) -> Callable[..., Path]:
    """Make a tree in DHF1K's layout: video number -> number of frames."""

    def make(
        lengths: dict[int, int], *, videos: bool = True, images: bool = False, hidden: tuple[int, ...] = ()
    ) -> Path:
        root = tmp_path / "DHF1K"
        for number, n in lengths.items():
            stems = [f"{i:04d}" for i in range(1, n + 1)]
            annotation = root / "annotation" / f"{number:04d}"
            if videos:
                write_video(root / "video" / f"{number:03d}.AVI", n)
            if images:
                write_frames(annotation / "images", stems)
            if number not in hidden:
                write_maps(annotation / "maps", stems)
                write_maps(annotation / "fixation", stems)
                write_maps(annotation / "fixation" / "maps", stems, suffix=".mat")
        return root

    return make


@pytest.fixture
def shot_tree(tmp_path: Path) -> Callable[..., Path]:
    """Make a tree in the layout of Hollywood-2 or UCF Sports.

    ``part/folder`` -> (prefix of the files, digits, first number, frames, (H, W)).
    """

    def make(shots: dict[str, tuple[str, int, int, int, tuple[int, int]]]) -> Path:
        root = tmp_path / "shots"
        for folder, (prefix, digits, first, n, size) in shots.items():
            stems = [f"{prefix}{i:0{digits}d}" for i in range(first, first + n)]
            write_frames(root / folder / "images", stems, *size)
            write_maps(root / folder / "maps", stems, *size)
            write_maps(root / folder / "fixation", stems, *size)
            write_maps(root / folder / "fixation" / "maps", stems, *size, suffix=".mat")
        return root

    return make


@pytest.fixture(name="write_maps")
def write_maps_fixture() -> Callable[..., None]:
    return write_maps


@pytest.fixture(name="write_frames")
def write_frames_fixture() -> Callable[..., None]:
    return write_frames


def write_recording(path: Path, seed: int, seconds: float, rate: float = 60.0) -> Path:
    """Write raw gaze in the form of DHF1K's recordings: somebody looks here and there on a screen of 1440x900."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["Time\tType\tTrial\tL Dia X [px]\tL Dia Y [px]\tL POR X [px]\tL POR Y [px]\tL Event Info"]
    count = int(seconds * rate)
    places = rng.uniform((200, 150), (1240, 750), (count // 20 + 1, 2)).repeat(20, axis=0)[:count]
    places += rng.normal(0, 5, places.shape)
    for k, (x, y) in enumerate(places):
        event = "Saccade" if (k + seed) % 20 < 2 else "Fixation"
        lines.append(f"{7_000_000 + round(k * 1e6 / rate)}\tSMP\t1\t20.00\t20.00\t{x:.2f}\t{y:.2f}\t{event}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(name="write_recording")
def write_recording_fixture() -> Callable[..., Path]:
    return write_recording


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a made-up video in the place of DHF1K's 002: as many frames and observers, small pictures."""
    folder = tmp_path_factory.mktemp("stand_in")
    path = folder / "dhf1k_002" / "video" / "002.AVI"
    path.parent.mkdir(parents=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 40, "yuv420p"
        for i in range(783):
            picture = scene(i, (40, 64))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    for person in range(1, 18):
        write_recording(folder / f"dhf1k_002/exportdata_train/P{person:02d}/P{person:02d}_Trail002.txt", person, 27.0)
    return folder


@pytest.fixture
def real_video() -> Path:
    """The folder of the real video; without it a test is skipped."""
    given = os.environ.get("SALIENCY_DATA")
    folder = Path(given or "", "dhf1k_002")
    if not given or not (folder / "video" / "002.AVI").is_file():
        pytest.skip("SALIENCY_DATA names no folder that has dhf1k_002 (saliency data get dhf1k-002)")
    return folder


MODEL_DATA = Path(__file__).parent / "data" / "models"


def _load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fill = _load("published_models", MODEL_DATA / "fill.py")


def published_state(model, salt="s0"):
    """A state dict as the published code writes it, integer entries included."""
    state = {name: torch.from_numpy(values) for name, values in fill.state(model, salt).items()}
    for name, shape, kind in fill.keys(model):
        if kind.startswith("int") and name.endswith("num_batches_tracked"):
            state[name] = torch.zeros(shape, dtype=torch.int64)
    return state


MODELS = {
    ("tmfi", "official"): (TMFINet, TMFINetConfig()),
    ("vinet_s", "official"): (ViNetS, ViNetSConfig()),
    ("vinet_s", "trilinear"): (ViNetS, ViNetSConfig(upsampling="trilinear")),
    ("vinet_a", "official"): (ViNetA, ViNetAConfig()),
    ("vinet_a", "noshuffle"): (ViNetA, ViNetAConfig(shuffle=False)),
}


@functools.lru_cache(maxsize=1)
def filled(model, variant="official"):
    """The full-size model with the golden weights, in eval mode."""
    kind, config = MODELS[model, variant]
    with torch.random.fork_rng():
        built = kind(config)
    load_weights(built, published_state(model))
    return built.eval()


@pytest.fixture
def published():
    """Golden numbers of the published models: `fill`, `state(model)`, `model(name, variant)`, `data`."""
    return SimpleNamespace(fill=fill, state=published_state, model=filled, data=MODEL_DATA)


GAZE_SIZE = (36, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class GazeVideo(AnnotatedVideo):
    """Observers whose gaze drifts; frames in `blank` have no gaze at all."""

    gaze: np.ndarray = field(repr=False)

    def fixations(self, i: int) -> np.ndarray:
        fixated = np.zeros(self.size, bool)
        for x, y in self.gaze[:, i]:
            if 0 <= x < self.size[1] and 0 <= y < self.size[0]:  # False for NaN
                fixated[int(y), int(x)] = True
        return fixated

    def density(self, i: int) -> np.ndarray:
        rows, columns = np.indices(self.size)
        density = np.zeros(self.size, np.float32)
        for x, y in self.gaze[:, i]:
            if not np.isnan(x):
                density += np.exp(-((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2) / 8)
        return density

    def observers(self) -> np.ndarray:
        return self.gaze


@pytest.fixture
def gaze_video(tmp_path: Path) -> Callable[..., GazeVideo]:
    def make(
        name: str = "001",
        frames: int = 6,
        size: tuple[int, int] = GAZE_SIZE,
        observers: int = 5,
        blank: tuple[int, ...] = (),
        pictures: bool = False,
    ) -> GazeVideo:
        rng = np.random.default_rng(int(name))
        centre = rng.uniform(0.3, 0.7, 2) * size[::-1]
        gaze = centre + rng.normal(0, 4, (observers, frames, 2))
        gaze = np.clip(gaze, 0, np.array(size[::-1]) - 0.01).astype(np.float32)
        gaze[:, list(blank)] = np.nan
        path = tmp_path / "video" / name
        if pictures:
            path.mkdir(parents=True)
            for i in range(frames):
                frame = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
                Image.fromarray(frame).save(path / f"{i + 1:04d}.png")
        return GazeVideo(id=name, path=path, num_frames=frames, size=size, gaze=gaze)

    return make


@pytest.fixture
def mini_like(tmp_path: Path) -> list[AnnotatedVideo]:
    """Two videos of the folder data set, which worker processes can import (unlike the class above)."""
    root = tmp_path / "own"
    rng = np.random.default_rng(0)
    (root / "gaze").mkdir(parents=True)
    for name, frames in (("1", 3), ("2", 4)):
        (root / "videos" / name).mkdir(parents=True)
        lines = ["observer,frame,x,y"]
        for i in range(frames):
            Image.fromarray(rng.integers(0, 255, (36, 64, 3), dtype=np.uint8)).save(
                root / "videos" / name / f"{i + 1:04d}.png"
            )
            lines += [f"{k},{i},{rng.uniform(0, 64):.2f},{rng.uniform(0, 36):.2f}" for k in range(4)]
        (root / "gaze" / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return Folder(root=root).videos("test")


def pytest_configure(config):
    config.addinivalue_line("markers", "hostile(name): a class of damage or misuse, for the count of `count.py`")


def pytest_runtest_setup(item):
    mark = item.get_closest_marker("hostile")
    if mark is not None:
        item.user_properties.append(("hostile", mark.args[0]))
