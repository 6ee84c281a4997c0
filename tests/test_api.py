"""`import saliency`: instant, typed, and one clear line for what is wrong."""

import doctest
import importlib
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

import saliency
from saliency.errors import InputError
from saliency.inference.density import as_density
from saliency.io.frame_source import FrameSource
from saliency.io.stamped import Recipe, write_stamped
from saliency.io.weights import save_model
from saliency.metrics import frame as metric_table
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import InputSpec

SIZE = (48, 80)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    config = ViNetSConfig(input=InputSpec(length=8, size=(32, 64), target="middle"), width=0.125)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_model(path, config.build(), config)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_stamped(path, Recipe(codec="libx264", suffix=".mp4", options={"preset": "ultrafast"}, size=SIZE), 11)
    return path


def test_import_brings_nothing_heavy():
    code = (
        "import sys, saliency; print(sorted({'torch', 'numpy', 'av', 'cv2', 'PIL'} & set(sys.modules)), dir(saliency))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] ") and "'load_model'" in done.stdout


def test_every_public_name_is_there_and_documented():
    for name in saliency.__all__:
        assert getattr(saliency, name).__doc__


def test_a_near_miss_is_suggested():
    with pytest.raises(AttributeError, match="did you mean 'predict'"):
        _ = saliency.predicts


@pytest.mark.parametrize("module", ["saliency", "saliency.api", "saliency.inference.model", "saliency.metrics.frame"])
def test_examples_of_the_docstrings(module):
    found = doctest.testmod(importlib.import_module(module))
    assert found.failed == 0


def test_three_lines_give_the_maps_of_a_video(clip, weights):
    model = saliency.load_model(weights, device="cpu")
    maps = list(model.predict(clip))
    assert [m.frame for m in maps] == list(range(11))
    for m in maps:
        assert m.values.shape == SIZE and m.values.dtype == np.float32
        assert m.values.min() >= 0 and m.values.sum() == pytest.approx(1, abs=1e-4)
        assert m.time == pytest.approx(m.frame / 30, abs=1e-3)
    # the network itself, asked for frame 5 by hand
    with saliency.open_video(clip) as video:
        frames = video.read(model.input.frames(5, len(video)))
    from saliency.io.transforms import make_clip, resize_frames, resize_map

    with torch.no_grad():
        small = model.network(make_clip(resize_frames(torch.from_numpy(frames), model.input.size), model.input)[None])[
            0
        ]
    by_hand = resize_map(small, SIZE).numpy()
    np.testing.assert_allclose(maps[5].values, by_hand / by_hand.sum(), atol=1e-7)


def test_every_nth_frame_is_the_same_map(clip, weights):
    model = saliency.load_model(weights, device="cpu")
    every = {m.frame: m.values for m in saliency.predict(clip, model)}
    some = list(saliency.predict(clip, model, every=4, batch_size=3))
    assert [m.frame for m in some] == [0, 4, 8]
    for m in some:
        np.testing.assert_allclose(m.values, every[m.frame], atol=1e-7)


def test_an_open_source_stays_open(clip, weights):
    with saliency.open_video(clip) as video:
        assert len(list(saliency.predict(video, weights, every=5))) == 3
        assert video.read([3]).shape == (1, *SIZE, 3)


def test_threads_share_a_model(clip, weights):
    model = saliency.load_model(weights, device="cpu")
    want = [m.values for m in model.predict(clip)]
    found: dict[int, list[np.ndarray]] = {}

    def work(i: int) -> None:
        found[i] = [m.values for m in model.predict(clip, batch_size=i + 1)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for maps in found.values():
        np.testing.assert_allclose(maps, want, atol=1e-7)
    assert len(found) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "none.mp4"}, "none.mp4: no such file"),
        ({"every": 0}, "every must be at least 1, got 0"),
        ({"batch_size": -1}, "batch_size must be at least 1, got -1"),
    ],
)
def test_bad_input_is_said_before_the_first_map(clip, weights, arguments, message):
    with pytest.raises(InputError, match=message):
        saliency.load_model(weights, device="cpu").predict(**{"source": clip} | arguments)


def test_models_without_weights_are_refused():
    with pytest.raises(InputError, match=r"no weights of tmfi_net on this machine: put the file"):
        saliency.load_model("tmfi_net")
    with pytest.raises(InputError, match="did you mean 'tmfi_net'"):
        saliency.load_model("tmfi_nte")


def test_a_map_that_is_not_finite_names_its_frame():
    with pytest.raises(InputError, match="the map of frame 7 is not finite"):
        as_density(np.array([[1.0, np.nan]], np.float32), 7)


def test_a_map_of_zeros_is_even():
    np.testing.assert_array_equal(as_density(np.zeros((2, 4), np.float32), 0), np.full((2, 4), 1 / 8, np.float32))


def test_score_takes_numpy_and_torch_single_and_batched():
    random = np.random.default_rng(0)
    pred, density = random.random((2, 12, 16)), random.random((2, 12, 16))
    fixations = random.random((2, 12, 16)) > 0.9
    batch = saliency.score(pred, density, fixations)
    assert list(batch) == ["cc", "nss", "auc_judd", "sim", "kld"]
    want = metric_table.score(
        torch.from_numpy(pred), torch.from_numpy(density), torch.from_numpy(fixations), names=batch
    )
    for i in range(2):
        single = saliency.score(torch.from_numpy(pred[i]), density[i], fixations[i])
        for name, value in single.items():
            assert value == pytest.approx(batch[name][i], abs=1e-12) == pytest.approx(float(want[name][i]), abs=1e-12)


def test_score_brings_the_prediction_to_the_ground_truths_size():
    pred = np.array([[0.0, 1.0], [0.0, 1.0]])
    density = np.array([[0.0, 0.25, 0.75, 1.0]] * 4)  # the same ramp by bilinear interpolation with half-pixel centres
    assert saliency.score(pred, density)["cc"] == pytest.approx(1)


def test_points_and_maps_of_fixations_agree():
    random = np.random.default_rng(1)
    pred, seen = random.random((9, 11)), np.zeros((9, 11), bool)
    points = np.array([[0, 3], [8, 10], [4, 4]])
    seen[points[:, 0], points[:, 1]] = True
    assert saliency.score(pred, fixations=[points]) == saliency.score(pred, fixations=seen)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "score needs ground truth"),
        ({"metrics": ["ccc"], "density": np.ones((4, 4))}, "unknown metric 'ccc'; did you mean 'cc'"),
        ({"metrics": ["nss"], "density": np.ones((4, 4))}, "metric nss needs fixations"),
        ({"pred": np.ones(4), "density": np.ones((4, 4))}, r"pred has shape \(4,\)"),
        ({"pred": np.array(["a"]), "density": np.ones((4, 4))}, "pred is ndarray; give a numpy array or torch tensor"),
        ({"fixations": np.ones((2, 4, 4))}, r"fixations has shape \(2, 4, 4\)"),
    ],
)
def test_what_score_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        saliency.score(**{"pred": np.ones((4, 4))} | arguments)


def test_arrays_give_the_maps_of_the_file(clip, weights):
    model = saliency.load_model(weights, device="cpu")
    with saliency.open_video(clip) as video:
        frames = video.read(range(len(video)))
    for source in (frames, torch.from_numpy(frames), list(frames)):
        for a, b in zip(model.predict(source, every=5), model.predict(clip, every=5), strict=True):
            np.testing.assert_array_equal(a.values, b.values)
    (still,) = model.predict(frames[0])
    assert still.values.shape == SIZE


@pytest.mark.parametrize(("size", "shape"), [("source", SIZE), ("model", (32, 64)), ((10, 20), (10, 20))])
def test_maps_of_any_size(clip, weights, size, shape):
    for m in saliency.predict(clip, weights, every=6, size=size):
        assert m.values.shape == shape and m.values.sum() == pytest.approx(1, abs=1e-4)


def test_the_mean_of_two_models(clip, weights, tmp_path):
    torch.manual_seed(1)
    config = ViNetSConfig(input=InputSpec(length=4, size=(32, 64)), width=0.125)
    save_model(tmp_path / "other.safetensors", config.build(), config)
    both = saliency.load_ensemble([weights, tmp_path / "other.safetensors"], weights=[3, 1], device="cpu")
    assert both.name == "tiny + other"
    a, b = (list(model.predict(clip, size="model")) for model in both.models)
    for one, other, mean in zip(a, b, saliency.predict(clip, both, size="model"), strict=True):
        np.testing.assert_allclose(mean.values, 0.75 * one.values + 0.25 * other.values, atol=1e-7)
    with pytest.raises(InputError, match="2 models need as many weights above 0"):
        saliency.load_ensemble([weights, weights], weights=[1], device="cpu")
    with pytest.raises(InputError, match="takes a list of models"):
        saliency.load_ensemble("vinet_s")


def test_maps_are_closed_early(clip, weights):
    with saliency.predict(clip, weights) as maps:
        assert next(maps).frame == 0
    with pytest.raises(StopIteration):
        next(maps)


def test_a_closed_model_says_so(clip, weights):
    with saliency.load_model(weights, device="cpu") as model:
        assert next(model.predict(clip)).frame == 0
    with pytest.raises(InputError, match="the model tiny was closed; load it again"):
        model.predict(clip)


class Counting(FrameSource):
    """Frames made as they are asked for; counts how many are alive at once."""

    path, fps, size = Path("counting"), 30.0, SIZE

    def __init__(self, frames: int) -> None:
        self._frames, self.alive, self.most = frames, weakref.WeakSet(), 0

    def __len__(self) -> int:
        return self._frames

    def read(self, indices):
        raise AssertionError("never searched")

    def iterate(self, start=0, stop=None):
        for i in range(self._frames):
            frame = np.full((*SIZE, 3), i % 256, np.uint8).view(Weak)
            self.alive.add(frame)
            self.most = max(self.most, len(self.alive))
            yield frame

    def close(self) -> None:
        pass


class Weak(np.ndarray):
    __hash__ = object.__hash__  # as a member of a set of weak references


def test_memory_does_not_depend_on_the_length(weights):
    most = {}
    with saliency.load_model(weights, device="cpu") as model:
        for frames in (60, 240):
            source = Counting(frames)
            assert sum(1 for _ in model.predict(source, size="model")) == frames
            most[frames] = source.most
    assert most[240] <= most[60] + 2 < 45


def test_the_card_comes_with_the_model():
    card = saliency.load_model(device="cpu").card
    assert card is not None and card.licences["weights"] and card.not_for
    assert saliency.load_model("mini_vinet_a", device="cpu").card is None
