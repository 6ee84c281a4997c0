"""What is fuzzed: readers of files that strangers may have made.

Each target has seeds, words that mean something to it, and a function that reads one damaged input. A reader returns or
raises `InputError` of one line; anything else is a fault.
"""

import functools
import hashlib
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix

from saliency.attention.region_files import read_moving_region
from saliency.config.load import load_run
from saliency.config.overrides import apply
from saliency.config.run import Learner, Run, Stage, Training
from saliency.data.still_video import read_fixations as read_photographs
from saliency.datasets.dhf1k import parse_numbers
from saliency.datasets.folder import read_gaze_csv
from saliency.distillation.bi_kd import BiKD
from saliency.errors import InputError
from saliency.evaluation.baselines import read_map
from saliency.evaluation.protocols import CANONICAL
from saliency.evaluation.result import FLAGS, FRAMES_FILE, SUMMARY_FILE, FrameRow, Result
from saliency.gaze.recording import read_recording
from saliency.io.frames import open_frames
from saliency.io.images import read_image
from saliency.io.maps import read_density, read_fixations
from saliency.io.serial import dumps, encode
from saliency.io.stamped import RECIPES, write_stamped
from saliency.io.weights import FORMAT, _content_sha256, load_model, read_weights
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.report.comparison import last_scores
from saliency.testing import ToyData, ToyNetConfig, ToyTask
from saliency.training import checkpoint
from saliency.types import InputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A reader.

    Attributes:
        seeds: makes what is whole.
        read: reads one input; gets its bytes and an empty folder.
        words: what has a meaning in such a file.
        text: whether numbers and words stand in it as text.
        share: of the examples of a target that takes a millisecond.
    """

    seeds: Callable[[], tuple[bytes, ...]]
    read: Callable[[bytes, Path], object]
    words: tuple[bytes, ...] = ()
    text: bool = True
    share: float = 1.0


def attempt(target: Target, data: bytes, folder: Path) -> None:
    """Read one input.

    Raises:
        AssertionError: it was refused in other words than one line.
        Exception: whatever the reader lets through.
    """
    try:
        target.read(data, folder)
    except InputError as error:
        words = str(error)
        assert words and "\n" not in words and len(words) < 2000, f"refused in these words: {words[:300]!r}"


# --- videos -----------------------------------------------------------------------------------------------


def _videos() -> tuple[bytes, ...]:
    made = []
    for name in ("mpeg4_gop12_avi", "h264_gop12", "mjpeg_avi", "vp9"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"a{RECIPES[name].suffix}"
            write_stamped(path, RECIPES[name], 14)
            made.append(path.read_bytes())
    return tuple(made)


def _read_video(data: bytes, folder: Path) -> None:
    path = folder / "a.mp4"  # FFmpeg looks at the content
    path.write_bytes(data)
    with open_frames(path) as source:
        count = len(source)
        for i in {0, count // 2, count - 1} & set(range(count)):
            assert source.read([i]).shape == (1, *source.size, 3)
        times = source.timestamps
        assert times is None or len(times) == count


# --- configs ----------------------------------------------------------------------------------------------


@functools.cache
def _run() -> Run:
    return Run(
        name="toy",
        task=ToyTask(),
        data=ToyData(),
        learners={
            "a": Learner(model=ToyNetConfig(dropout=0.5)),
            "b": Learner(model=ToyNetConfig(input=InputSpec(length=3, size=(8, 12)), width=6), optimizer=None),
        },
        stages=(
            Stage(name="scratch", epochs=2),
            Stage(name="bi_kd", epochs=1, start="scratch", distiller=BiKD(), frozen={"before": "b"}),
        ),
        train=Training(batch_size=4, log_every=1, keep_best=("loss",)),
    )


OVERRIDES = (
    b"train.batch_size=8", b"learners.a.optimizer.lr=1e-4", b"stages.bi_kd.epochs=3", b"stages.1.lr=none",
    b"train.precision=bf16", b"learners.b.model.input.size=(8,12)", b"train.keep_best=cc,nss", b"train.compile=true",
    b"name=x", b"learners.a.optimizer=none", b"data.size=5", b"stages.1.frozen.before=a",
)  # fmt: skip


def _override(data: bytes, folder: Path) -> None:
    apply(_run(), [data.decode("utf-8", errors="surrogateescape")])


def _configs() -> tuple[bytes, ...]:
    apart = {"class": "saliency.types:InputSpec", "fields": {"length": 3, "size": [8, 12]}}
    return (dumps(_run()).encode(), json.dumps(encode(_run())).encode(), json.dumps(apart).encode())


def _read_config(data: bytes, folder: Path) -> None:
    path = folder / "config.json"
    path.write_bytes(data)
    load_run(path)


# --- results ----------------------------------------------------------------------------------------------

_BETWEEN = b"\n=====\n"


def _results() -> tuple[bytes, ...]:
    scores = {metric: 0.5 for metric in CANONICAL.metrics}
    rows = [FrameRow("one", i, scores, dict.fromkeys(FLAGS, 0), i) for i in range(3)]
    with tempfile.TemporaryDirectory() as name:
        Result(name="a", dataset="toy", protocol=CANONICAL, rows=rows).save(name)
        return (Path(name, SUMMARY_FILE).read_bytes() + _BETWEEN + Path(name, FRAMES_FILE).read_bytes(),)


def _read_result(data: bytes, folder: Path) -> None:
    summary, _, frames = data.partition(_BETWEEN)
    (folder / SUMMARY_FILE).write_bytes(summary)
    (folder / FRAMES_FILE).write_bytes(frames)
    Result.load(folder)


def _read_log(data: bytes, folder: Path) -> None:
    (folder / "log.jsonl").write_bytes(data)
    last_scores(folder / "log.jsonl", "cc")


def _checkpoints() -> tuple[bytes, ...]:
    """The progress and the manifest of a checkpoint; the manifest's sum of the progress is made right again."""
    return (b'{"step": 3, "best": {"a": 0.5}, "done": false}' + _BETWEEN + b'{"progress.json": "SUM"}',)


def _read_checkpoint(data: bytes, folder: Path) -> None:
    progress, _, manifest = data.partition(_BETWEEN)
    home = folder / "step-00000003"
    home.mkdir()
    (home / "progress.json").write_bytes(progress)
    (home / "manifest.json").write_bytes(manifest.replace(b"SUM", hashlib.sha256(progress).hexdigest().encode()))
    checkpoint.load(home)


# --- weights ----------------------------------------------------------------------------------------------


@functools.cache
def _small() -> AppearanceNetConfig:
    return AppearanceNetConfig(channels=(2, 2, 4, 4), decoder_channels=2, prior=(2, 2))


@functools.cache
def _tensors() -> dict:
    return {name: value.contiguous() for name, value in _small().build().state_dict().items()}


def _weights() -> tuple[bytes, ...]:
    header = {"format": FORMAT, "config": json.dumps(encode(_small()))}
    header["content_sha256"] = _content_sha256(_tensors(), header)
    plain = {name: value for name, value in list(_tensors().items())[:3]}
    return (safetensors.torch.save(_tensors(), header), safetensors.torch.save(plain))


def _read_weights(data: bytes, folder: Path) -> None:
    path = folder / "a.safetensors"
    path.write_bytes(data)
    for read in (load_model, read_weights):
        try:
            read(path)
        except InputError as error:
            assert "\n" not in str(error)


def _read_config_of_weights(data: bytes, folder: Path) -> None:
    """The config of a file whose checksum is right."""
    header = {"format": FORMAT, "config": data.decode("utf-8", errors="replace")}
    header["content_sha256"] = _content_sha256(_tensors(), header)
    path = folder / "a.safetensors"
    path.write_bytes(safetensors.torch.save(_tensors(), header))
    load_model(path)


# --- annotations ------------------------------------------------------------------------------------------


def _maps() -> tuple[bytes, ...]:
    values = np.zeros((6, 8), np.uint8)
    values[2, 3] = 255
    made = []
    for mode in ("L", "RGB", "I;16"):
        data = io.BytesIO()
        array = values.astype(np.uint16) if mode == "I;16" else values
        (Image.fromarray(array) if mode != "RGB" else Image.fromarray(values).convert(mode)).save(data, "PNG")
        made.append(b"png" + data.getvalue())
    for array in (values.astype(np.float32), values):
        data = io.BytesIO()
        np.save(data, array)
        made.append(b"npy" + data.getvalue())
    for matrix in (values, csc_matrix(values)):
        for compressed in (False, True):
            data = io.BytesIO()
            savemat(data, {"I": matrix}, do_compression=compressed)
            made.append(b"mat" + data.getvalue())
    return tuple(made)


def _read_map(data: bytes, folder: Path) -> None:
    kind = {b"png": ".png", b"npy": ".npy", b"mat": ".mat"}.get(data[:3], ".png")
    path = folder / f"a{kind}"
    path.write_bytes(data[3:])
    values = (read_fixations if kind == ".mat" else read_density)(path)
    assert values.ndim == 2


def _pictures() -> tuple[bytes, ...]:
    picture = Image.fromarray(np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3))
    made = []
    for kind in ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM"):
        data = io.BytesIO()
        picture.save(data, kind)
        made.append(data.getvalue())
    return tuple(made)


def _read_picture(data: bytes, folder: Path) -> None:
    path = folder / "a.png"  # Pillow looks at the content
    path.write_bytes(data)
    for read in (read_image, read_map):
        try:
            read(path)
        except InputError as error:
            assert str(path) in str(error)


def _read_region(data: bytes, folder: Path) -> None:
    path = folder / "a.csv"
    path.write_bytes(data)
    region = read_moving_region(path, "a", (36, 64), 25.0)
    for frame in (0, 3, 1000):
        region.at(frame)


def _read_numbers(data: bytes, folder: Path) -> None:
    parse_numbers(data.decode("utf-8", errors="replace"))


# --- gaze -------------------------------------------------------------------------------------------------


def _read_gaze(data: bytes, folder: Path) -> None:
    path = folder / "a.csv"
    path.write_bytes(data)
    assert read_gaze_csv(path, 3, 25.0, (36, 64)).shape[1:] == (3, 2)


def _recordings() -> tuple[bytes, ...]:
    head = "Time\tType\tTrial\tL Dia X\tL Dia Y\tL POR X\tL POR Y\tEvent\n"
    rows = "".join(f"{7000000 + 16000 * i}\tSMP\t1\t20.0\t20.0\t{600 + i}\t{400 - i}\tFixation\n" for i in range(6))
    return ((head + rows).encode(), b"t x y e\n1000 5 6 F\n2000 7 8 S\n3000 nan nan F\n")


def _read_recording(data: bytes, folder: Path) -> None:
    path = folder / "a.txt"
    path.write_bytes(data)
    found = read_recording(path)
    assert len(found.time) == len(found.xy) == len(found.fixating)


def _photographs() -> tuple[bytes, ...]:
    data = io.BytesIO()
    arrays = {name: np.arange(4, dtype=np.int16) for name in ("viewer", "order")}
    arrays |= {name: np.linspace(0, 9, 4, dtype=np.float32) for name in ("x", "y", "duration_ms")}
    np.savez(data, images=np.array(["a.jpg", "b.jpg"]), image=np.array([0, 0, 1, 1], np.int16), **arrays)
    return (data.getvalue(),)


def _read_photographs(data: bytes, folder: Path) -> None:
    (folder / "fixations.npz").write_bytes(data)
    read_photographs.__wrapped__(folder)


TARGETS = {
    "container": Target(seeds=_videos, read=_read_video, text=False, share=0.05,
                        words=(b"idx1", b"moov", b"stsz", b"ctts", b"LIST", b"RIFF", b"\x1a\x45\xdf\xa3")),
    "override": Target(seeds=lambda: OVERRIDES, read=_override, words=(b".", b"=", b"none", b"(", b"stages", b"train")),
    "config": Target(seeds=_configs, read=_read_config, share=0.3,
                     words=(b'"class"', b'"fields"', b'"path"', b"saliency.types:InputSpec", b"os:system", b"{}")),
    "result": Target(seeds=_results, read=_read_result, share=0.5, words=(b"nan", b'"format"', b'"metrics"', b"{}")),
    "weights": Target(seeds=_weights, read=_read_weights, text=False, share=0.3,
                      words=(b'"dtype"', b'"F32"', b'"shape"', b'"data_offsets"', b"__metadata__", b"config")),
    "weights_config": Target(seeds=lambda: (json.dumps(encode(_small())).encode(),), read=_read_config_of_weights,
                             share=0.1, words=(b'"class"', b"saliency.types:InputSpec", b"saliency.io", b"{}")),
    "map": Target(seeds=_maps, read=_read_map, text=False, words=(b"IDAT", b"IHDR", b"NUMPY", b"'descr'", b"object")),
    "picture": Target(seeds=_pictures, read=_read_picture, text=False, words=(b"IDAT", b"Exif", b"RIFF", b"II*")),
    "run_log": Target(
        seeds=lambda: (b'{"stage": "a", "step": 1, "kind": "val", "val_cc/x": 0.5}\n' * 3,), read=_read_log
    ),
    "checkpoint": Target(seeds=_checkpoints, read=_read_checkpoint, share=0.3, words=(b'"step"', b"{}", b"..")),
    "region": Target(seeds=lambda: (b"frame,x,y,width,height\n0,1,2,10,10\n5,,,,\n9,3,4,10,10\n",
                                    b"time,x,y,width,height\n0.5,1,2,10,10\n1.25,3,4,10,10\n"), read=_read_region),
    "numbers": Target(seeds=lambda: (b"1-600", b"1,2,5-9", b"701-800,3"), read=_read_numbers, words=(b"-", b",")),
    "gaze_csv": Target(seeds=lambda: (b"observer,frame,x,y\na,0,5,6\na,1,7,8\nb,0,9,10\nb,1,11,12\n",
                                      b"observer,time,x,y\na,0.01,5,6\na,0.05,7,8\n"), read=_read_gaze),
    "recording": Target(seeds=_recordings, read=_read_recording, words=(b"\t", b"SMP", b"nan", b"Fixation")),
    "photographs": Target(seeds=_photographs, read=_read_photographs, text=False, words=(b"PK", b".npy", b"'descr'")),
}  # fmt: skip
"""Name of a target -> the reader."""
