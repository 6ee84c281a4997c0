"""The embedded data set: a few dozen short simulated videos in DHF1K's layout, and a real one for those who have it.

The simulated videos are drawn on first use (`mini_scenes.py`), watched by simulated
viewers (`mini_viewers.py`), encoded, and kept in a cache folder, where the DHF1K reader finds them::

    mini-<version>-<hash of the settings>/
        video/001.AVI                    mpeg4, 30 fps, GOP 12, no B-frames
        annotation/0001/maps/0001.png    density map, maximum 255
        annotation/0001/fixation/0001.png, annotation/0001/fixation/maps/0001.mat (key "I")
        observers/0001.npy               (viewers, frames, 2) float32 x, y; not part of DHF1K's layout
        mini.json                        the settings

The real video is number 002 of DHF1K with the gaze of 17 people (CC BY 4.0). It does not come with the project:
``saliency data get dhf1k-002`` downloads it. It is laid out the same way, its maps derived from the gaze points. It
is there to be tested on: no bundled config trains on it.

docs/mini.md says how the viewers behave, how well they agree and how far a centre prior gets.
"""

import functools
import hashlib
import inspect
import io
import json
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

import saliency
from saliency.data import mini_scenes, mini_viewers
from saliency.data.mini_scenes import make_shots, render
from saliency.data.mini_viewers import watch
from saliency.data.targets import Sampling, Targets
from saliency.data.video import AnnotatedVideo
from saliency.datasets.dhf1k import DHF1K, DHF1KVideo, frame_counts, gaze_files, gaze_points
from saliency.errors import InputError
from saliency.gaze import recording
from saliency.gaze.recording import DHF1K_SIGMA, fixation_map
from saliency.io.cache_folder import cache_folder
from saliency.io.data_folder import find_data
from saliency.io.frames import open_frames
from saliency.types import InputSpec

log = logging.getLogger(__name__)

VERSION = 1
"""Of the layout of the cache; what is built from the same settings is told apart by the code that builds it."""

REAL = 2
"""Number of the real video in DHF1K."""
REAL_OBSERVERS = 17
ATTRIBUTION = Path(saliency.__file__).parent / "assets" / "registers" / "dhf1k_002.md"
FPS = 30
GOP = 12
STALE = 3600.0  # seconds after which an unfinished build counts as dead


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniVideo(DHF1KVideo):
    """A video of the embedded data set: DHF1K's, with the observers' gaze in one small array.

    Attributes:
        points: .npy file, (viewers, num_frames, 2) float32.
    """

    points: Path

    def observers(self) -> NDArray[np.float32]:
        """Return the gaze, (viewers, num_frames, 2) float32 x, y in pixels, NaN without a fixation."""
        return np.load(self.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mini:
    """The embedded data set. The same settings give the same data.

    Attributes:
        seed: of scenes and viewers.
        train_videos: videos 1 .. train_videos are the training split.
        val_videos: the next ones are the validation split.
        test_videos: the last ones are the test split.
        size: (H, W) of the frames, both even.
        min_frames: length of the shortest video.
        max_frames: length of the longest video.
        viewers: simulated observers per video.
        cache: folder in which the built data is kept; default: the environment variable SALIENCY_CACHE, or
            ``~/.cache/video-saliency``.
        threads: videos built at the same time; no influence on the result.
        sampling: the target rules of training and validation.
    """

    seed: int = 0
    train_videos: int = 42
    val_videos: int = 6
    test_videos: int = 12
    size: tuple[int, int] = (108, 192)
    min_frames: int = 60
    max_frames: int = 90
    viewers: int = 17
    cache: Path | None = None
    threads: int = 2
    sampling: Sampling = field(default_factory=lambda: Sampling(val=Targets(lead=4, step=8, short="middle")))

    def __post_init__(self) -> None:
        if min(self.size) < 32 or self.size[0] % 2 or self.size[1] % 2:
            raise ValueError(f"size (H, W) must be even and at least 32x32, got {self.size}")
        if not 1 <= self.min_frames <= self.max_frames or self.viewers < 1 or self.num_videos > 999:
            raise ValueError(f"need 1 <= min_frames <= max_frames, viewers >= 1, at most 999 videos, got {self}")

    @property
    def num_videos(self) -> int:
        """Number of simulated videos in all splits."""
        return self.train_videos + self.val_videos + self.test_videos

    @property
    def root(self) -> Path:
        """The folder in which the simulated videos are, or will be."""
        what = json.dumps(_settings(self), sort_keys=True).encode() + _sources()
        return self._cache / f"mini-{VERSION}-{hashlib.sha256(what).hexdigest()[:8]}"

    @property
    def real_root(self) -> Path:
        """The folder in which the real video is, or will be."""
        return self._cache / f"dhf1k_002-{VERSION}"

    @property
    def _cache(self) -> Path:
        return self.cache or cache_folder()

    def videos(self, split: str) -> list[AnnotatedVideo]:
        """Return the videos of a split; whatever is not in the cache yet is built first (some seconds).

        Args:
            split: ``"train"``, ``"val"``, ``"test"``, or ``"real"``: the one real video, 640x360.

        Raises:
            MissingData: the real video is not on this machine.
            InputError: the split is unknown or the cache folder cannot be written.
        """
        if split == "real":
            return _read(build_real(self), str(REAL), real=True)
        counts = {"train": self.train_videos, "val": self.val_videos, "test": self.test_videos}
        if split not in counts:
            raise InputError(f"the embedded data set has no split '{split}'; it has train, val, test and real")
        before = {"train": 0, "val": counts["train"], "test": counts["train"] + counts["val"]}[split]
        numbers = f"{before + 1}-{before + counts[split]}" if counts[split] else ""
        return _read(build_mini(self), numbers, real=False)

    def view(self, spec: InputSpec) -> InputSpec:
        """Return the clip a model gets: its own."""
        return spec


def build_mini(config: Mini) -> Path:
    """Build the simulated videos unless they are in the cache; return their folder.

    Safe to interrupt and to call from several processes: the folder appears complete or not at all.

    Raises:
        InputError: the cache folder cannot be written.
    """

    def build(folder: Path) -> None:
        log.info("building the embedded data set of %d videos in %s", config.num_videos, config.root)
        _in_threads(config.threads, lambda number: _simulate(config, number, folder), range(1, config.num_videos + 1))
        (folder / "mini.json").write_text(json.dumps(_settings(config), indent=1) + "\n", encoding="utf-8")

    return _build_once(config.root, build)


def build_real(config: Mini) -> Path:
    """Lay out the real video unless it is in the cache; return its folder. As safe as `build_mini`.

    Raises:
        MissingData: it was not downloaded.
        InputError: what was downloaded is not whole, or the cache folder cannot be written.
    """

    def build(folder: Path) -> None:
        given = find_data("dhf1k-002", "dhf1k_002", f"video/{REAL:03d}.AVI")
        log.info("laying out the real video in %s", config.real_root)
        _make_folders(folder, REAL)
        shutil.copyfile(ATTRIBUTION, folder / "ATTRIBUTION.md")
        path = folder / "video" / f"{REAL:03d}.AVI"
        shutil.copyfile(given / "video" / path.name, path)
        with open_frames(path, expected=frame_counts()[REAL - 1]) as source:
            size, num_frames = source.size, len(source)
        files = gaze_files(given / "exportdata_train", REAL)
        if len(files) != REAL_OBSERVERS:
            raise InputError(
                f"{given / 'exportdata_train'}: holds {len(files)} recordings of video {REAL:03d} where "
                f"{REAL_OBSERVERS} are expected; remove {given} and get it again with: saliency data get dhf1k-002"
            )
        points = gaze_points(files, size, num_frames)
        np.save(folder / "observers" / f"{REAL:04d}.npy", points)
        _in_threads(
            config.threads,
            lambda i: write_annotation(folder / "annotation" / f"{REAL:04d}", i, points[:, i], size),
            range(num_frames),
        )

    return _build_once(config.real_root, build)


def density_map(fixated: NDArray[np.bool_], sigma: float) -> NDArray[np.uint8]:
    """Blur a fixation map (H, W), scaled to a maximum of 255: uint8 (H, W), all zero without a fixation.

    The same as `saliency.gaze.recording.density_map`, for the thousands of small maps of a build.
    """
    y, x = np.nonzero(fixated)
    if len(y) == 0:
        return np.zeros(fixated.shape, np.uint8)
    down, across = (np.arange(n, dtype=np.float32) for n in fixated.shape)
    along_y = np.exp(-0.5 * ((down - y[:, None]) / sigma) ** 2).astype(np.float32)  # (k, H)
    along_x = np.exp(-0.5 * ((across - x[:, None]) / sigma) ** 2).astype(np.float32)  # (k, W)
    # OpenCV's matrix product: numpy's would start a thread per core for every map, ten times as slow.
    total = cv2.gemm(along_y, along_x, 1.0, np.empty(0), 0.0, flags=cv2.GEMM_1_T)  # (H, W)
    return np.round(total * (255 / total.max())).astype(np.uint8)


def write_annotation(folder: Path, i: int, gaze: NDArray[np.float32], size: tuple[int, int]) -> None:
    """Write the three files of 0-based frame `i` from (viewers, 2) gaze, NaN where there is none."""
    fixated = fixation_map(gaze, size)
    matlab = io.BytesIO()
    savemat(matlab, {"I": fixated.astype(np.uint8)}, do_compression=True)
    # The first 116 bytes are free text; scipy's holds the time of day, which would differ in each build.
    header = b"MATLAB 5.0 MAT-file".ljust(116)
    (folder / "fixation" / "maps" / f"{i + 1:04d}.mat").write_bytes(header + matlab.getvalue()[116:])
    cv2.imwrite(str(folder / "fixation" / f"{i + 1:04d}.png"), fixated.astype(np.uint8) * 255)
    cv2.imwrite(str(folder / "maps" / f"{i + 1:04d}.png"), density_map(fixated, DHF1K_SIGMA * size[1] / 640))


def write_avi(path: Path, frames: list[NDArray[np.uint8]]) -> None:
    """Encode RGB frames as DHF1K's videos are: mpeg4 (XVID) in AVI, 30 fps, GOP 12, no B-frames."""
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=FPS, bit_rate=2_000_000)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        codec.codec_tag = "XVID"
        codec.gop_size = GOP
        codec.max_b_frames = 0
        codec.qmin, codec.qmax = 2, 4
        codec.thread_count = 1  # several threads would change the bytes
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def _simulate(config: Mini, number: int, folder: Path) -> None:
    """Draw, watch and write one video. Its chance depends on the seed and its number alone."""
    rng = np.random.default_rng([config.seed, number])
    num_frames = int(rng.integers(config.min_frames, config.max_frames + 1))
    shots = make_shots(rng, num_frames, config.size)
    gaze = watch(rng, shots, config.size, config.viewers)
    _make_folders(folder, number)
    frames = [render(shot, i, config.size) for shot in shots for i in range(len(shot))]
    write_avi(folder / "video" / f"{number:03d}.AVI", frames)
    np.save(folder / "observers" / f"{number:04d}.npy", gaze)
    for i in range(num_frames):
        write_annotation(folder / "annotation" / f"{number:04d}", i, gaze[:, i], config.size)


def _make_folders(folder: Path, number: int) -> None:
    for name in ("video", "observers", f"annotation/{number:04d}/maps", f"annotation/{number:04d}/fixation/maps"):
        (folder / name).mkdir(parents=True, exist_ok=True)


def _read(root: Path, numbers: str, *, real: bool) -> list[AnnotatedVideo]:
    """Read built videos with DHF1K's reader and add the gaze."""
    if not numbers:
        return []
    # Simulated viewers may all blink at once; the real ones never did.
    layout = DHF1K(root=root, splits={"all": numbers}, register=real, may_be_empty=not real)
    return [
        MiniVideo(
            **{f.name: getattr(video, f.name) for f in fields(video)},
            points=root / "observers" / f"{int(video.id):04d}.npy",
        )
        for video in layout.videos("all")
    ]


@functools.cache
def _sources() -> bytes:
    """Return the code that decides what is built: data that another version built is never taken for this one's."""
    modules = (__name__, mini_scenes.__name__, mini_viewers.__name__, recording.__name__)
    return b"".join(inspect.getsource(sys.modules[name]).encode() for name in modules)


def _settings(config: Mini) -> dict[str, object]:
    """All that decides what is built."""
    names = ("seed", "train_videos", "val_videos", "test_videos", "size", "min_frames", "max_frames", "viewers")
    return {"version": VERSION, **{name: getattr(config, name) for name in names}}


def _build_once(target: Path, build: Callable[[Path], None]) -> Path:
    """Let `build` fill a temporary folder beside `target`, then give it that name in one step."""
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for old in target.parent.glob(".building-*"):
            if time.time() - old.stat().st_mtime > STALE:
                shutil.rmtree(old, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".building-{target.name}-", dir=target.parent))
    except OSError as error:
        raise InputError(
            f"cannot write the cache folder {target.parent} ({error.strerror}); "
            "set the environment variable SALIENCY_CACHE to a folder that can be written"
        ) from None
    try:
        build(temporary)
        temporary.chmod(0o755)
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster; its data is the same
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _in_threads(threads: int, work: Callable[[int], None], numbers: range) -> None:
    """Call `work` for every number; the first error, or Ctrl-C, drops what has not begun."""
    with ThreadPoolExecutor(threads) as pool:
        try:
            for _ in pool.map(work, numbers):
                pass
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
