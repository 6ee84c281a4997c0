"""The inputs behind golden.json: 46 named cases, reproducible to the bit with numpy alone.

A case holds float32 `pred` (its size differs from the rest in "resize_*"), float32 `density` (blurred
fixations, largest value 1), uint8 0/1 `fixations`, uint8 0/1 `others` (fixations of other frames) and float32
`baseline` (a centre prior above 0). Only `Generator.random` is drawn and every map is floored to a multiple of
2**-22 before any further, exact step, so exp() differing by one ulp between numpy builds does not show;
golden.json stores the sha256 of every array.
"""

import hashlib
from collections.abc import Callable
from functools import cache

import numpy as np

Case = dict[str, np.ndarray]

STEPS = float(2**22)
SIZES = {"36x64": (36, 64), "90x160": (90, 160), "360x640": (360, 640)}
FIXATIONS = {"36x64": 30, "90x160": 60, "360x640": 150}


def sha256(array: np.ndarray) -> str:
    array = np.ascontiguousarray(array)
    return hashlib.sha256(str(array.dtype).encode() + str(array.shape).encode() + array.tobytes()).hexdigest()


def quantise(values) -> np.ndarray:
    return (np.floor(np.clip(values, 0.0, 1.0) * STEPS) / STEPS).astype(np.float32)


def gaussian(height, width, y, x, sigma_y, sigma_x) -> np.ndarray:
    rows = (np.arange(height, dtype=np.float64) + 0.5) / height
    columns = (np.arange(width, dtype=np.float64) + 0.5) / width
    down = np.exp(-0.5 * ((rows - y) / sigma_y) ** 2)
    across = np.exp(-0.5 * ((columns - x) / sigma_x) ** 2)
    return down[:, None] * across[None, :]


def minmax(values) -> np.ndarray:
    values = values - values.min()
    return values / values.max() if values.max() > 0 else values


def draw_blobs(rng, count, smallest, largest) -> list[tuple]:
    """`count` random Gaussians (y, x, sigma_y, sigma_x, amplitude)."""
    blobs = []
    for _ in range(count):
        u = rng.random(5)
        sigmas = [smallest + (largest - smallest) * s for s in u[2:4]]
        blobs.append((0.1 + 0.8 * u[0], 0.1 + 0.8 * u[1], *sigmas, 0.3 + 0.7 * u[4]))
    return blobs


def render(height, width, blobs) -> np.ndarray:
    total = np.zeros((height, width))
    for y, x, sigma_y, sigma_x, amplitude in blobs:
        total += amplitude * gaussian(height, width, y, x, sigma_y, sigma_x)
    return total


def draw_fixations(rng, density, count) -> np.ndarray:
    """A 0/1 map of `count` pixels drawn from a density, with replacement."""
    cumulative = np.cumsum(density.ravel())
    cumulative /= cumulative[-1]
    pixels = np.searchsorted(cumulative, rng.random(count), side="right")
    return mark(density.shape, np.minimum(pixels, density.size - 1))


def mark(shape, pixels) -> np.ndarray:
    fixations = np.zeros(shape, np.uint8)
    fixations.ravel()[np.asarray(pixels)] = 1
    return fixations


def blur(fixations) -> np.ndarray:
    """DHF1K's density: a Gaussian of 12.74 pixels at 640 pixels width on every fixation."""
    height, width = fixations.shape
    rows, columns = np.arange(height, dtype=np.float64), np.arange(width, dtype=np.float64)
    sigma = 12.74 * width / 640.0
    down = np.exp(-0.5 * ((rows[:, None] - rows[None, :]) / sigma) ** 2)
    across = np.exp(-0.5 * ((columns[:, None] - columns[None, :]) / sigma) ** 2)
    total = np.zeros((height, width))
    for y, x in zip(*np.nonzero(fixations), strict=True):
        total += down[y][:, None] * across[x][None, :]
    return quantise(minmax(total))


def scene(size: str, seed: int, count: int | None = None) -> tuple[Case, np.random.Generator]:
    """A hidden density, what people fixated, and what a mediocre model would predict."""
    height, width = SIZES[size]
    rng = np.random.default_rng([20240607, seed, height, width])
    count = count or FIXATIONS[size]
    hidden = draw_blobs(rng, 4, 0.05, 0.16)
    seen = render(height, width, hidden) + 0.02 * gaussian(height, width, 0.5, 0.5, 0.25, 0.25) + 1e-4
    fixations = draw_fixations(rng, seen, count)
    centre = gaussian(height, width, 0.5, 0.5, 0.22, 0.20) + 0.02
    others = draw_fixations(rng, centre, 10 * count)
    guessed = []
    for y, x, sigma_y, sigma_x, amplitude in hidden:
        u = rng.random(3)
        moved = (y + 0.06 * (u[0] - 0.5), x + 0.06 * (u[1] - 0.5))
        guessed.append((*moved, sigma_y * 1.2, sigma_x * 1.2, amplitude * (0.5 + u[2])))
    guessed += draw_blobs(rng, 2, 0.05, 0.12)
    smooth = render(height, width, guessed) + 0.25 * gaussian(height, width, 0.5, 0.5, 0.3, 0.3)
    case = {
        "pred": quantise(minmax(smooth) * 0.97 + 0.03 * rng.random((height, width))),
        "density": blur(fixations),
        "fixations": fixations,
        "others": others,
        "baseline": quantise(0.95 * centre / centre.max() + 0.01),
    }
    return case, rng


CASES: dict[str, Callable[[], Case]] = {}


@cache
def make(name: str) -> Case:
    """The case of that name; shared, so do not write into its arrays."""
    return CASES[name]()


def pred_case(name: str, size: str, seed: int, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Register a scene whose prediction is changed."""

    def build() -> Case:
        case, _ = scene(size, seed)
        return case | {"pred": np.asarray(change(case["pred"].copy()), np.float32)}

    CASES[name] = build


def scene_case(
    name: str,
    size: str,
    seed: int,
    change: Callable[[Case, np.random.Generator], Case],
    count: int | None = None,
) -> None:
    """Register a scene of which `change` replaces arrays."""

    def build() -> Case:
        case, rng = scene(size, seed, count)
        return case | change(case, rng)

    CASES[name] = build


def put(pixels, value) -> Callable[[np.ndarray], np.ndarray]:
    def change(pred: np.ndarray) -> np.ndarray:
        pred[pixels] = value
        return pred

    return change


def fixated(pixels) -> Callable[[Case, np.random.Generator], Case]:
    def change(case: Case, _) -> Case:
        height, width = case["fixations"].shape
        fixations = mark((height, width), [y * width + x for y, x in pixels])
        return {"fixations": fixations, "density": blur(fixations)}

    return change


# Ordinary predictions.
for _size in SIZES:
    for _seed in range(3):
        pred_case(f"smooth_{_size}_s{_seed}", _size, _seed, lambda p: p)
scene_case("identical_90x160", "90x160", 10, lambda c, _: {"pred": c["density"]})
scene_case("anti_90x160", "90x160", 10, lambda c, _: {"pred": np.float32(1) - c["density"]})
scene_case("centre_prior_90x160", "90x160", 11, lambda c, _: {"pred": c["baseline"]})
scene_case("noise_90x160", "90x160", 12, lambda c, rng: {"pred": quantise(rng.random((90, 160)))})
scene_case("few_fix_360x640", "360x640", 13, lambda *_: {}, count=12)

# Ranges; every step is exact.
pred_case("scaled256_90x160", "90x160", 0, lambda p: p * 256)
pred_case("scaled2m20_90x160", "90x160", 0, lambda p: p * 2.0**-20)
pred_case("scaled2m18_360x640", "360x640", 0, lambda p: p * 2.0**-18)
pred_case("offset_floor_90x160", "90x160", 1, lambda p: 0.5 + 0.5 * p)
pred_case("negative_logits_90x160", "90x160", 2, lambda p: p * 8 - 6)

# Ties.
for _size in SIZES:
    pred_case(f"uint8_{_size}", _size, 20, lambda p: np.floor(p.astype(np.float64) * 255 + 0.5))
pred_case("four_levels_90x160", "90x160", 21, lambda p: np.floor(p.astype(np.float64) * 4))
pred_case("binary_pred_90x160", "90x160", 22, lambda p: p > 0.4)
pred_case("mostly_zero_90x160", "90x160", 23, lambda p: np.where(p < 0.35, 0, p))

# Degenerate predictions.
pred_case("constant_pred_90x160", "90x160", 30, put(..., 0.5))
pred_case("constant_pred_tenth_90x160", "90x160", 30, put(..., 0.1))  # its rounded mean is not 0.1
pred_case("zero_pred_90x160", "90x160", 30, put(..., 0))
pred_case("onehot_pred_90x160", "90x160", 30, lambda p: put((45, 80), 1)(0 * p))
pred_case("nan_one_pixel_90x160", "90x160", 30, put((3, 5), np.nan))
pred_case("nan_all_90x160", "90x160", 30, put(..., np.nan))
pred_case("inf_one_pixel_90x160", "90x160", 30, put((10, 10), np.inf))

# Degenerate ground truth.
_border = [(0, 0), (0, 159), (89, 0), (89, 159), (0, 80), (89, 80), (45, 0), (45, 159)]
_nobody = np.zeros((90, 160), np.uint8)
_dense = lambda _, rng: {"fixations": (rng.random((36, 64)) < 0.25).astype(np.uint8)}  # noqa: E731
_flat = np.full((90, 160), 0.25, np.float32)
scene_case("single_fixation_90x160", "90x160", 40, fixated([(40, 70)]))
scene_case("two_fixations_90x160", "90x160", 40, fixated([(40, 70), (12, 130)]))
scene_case("border_fixations_90x160", "90x160", 41, fixated(_border))
scene_case("dense_fix_36x64", "36x64", 42, _dense, count=60)
scene_case("all_fixated_36x64", "36x64", 43, lambda *_: {"fixations": np.ones((36, 64), np.uint8)}, count=60)
scene_case("no_fixations_90x160", "90x160", 44, lambda *_: {"fixations": _nobody})
scene_case("empty_frame_90x160", "90x160", 44, lambda *_: {"fixations": _nobody, "density": 0 * _flat})
scene_case("constant_gt_90x160", "90x160", 45, lambda *_: {"density": _flat})
scene_case("constant_both_90x160", "90x160", 45, lambda *_: {"density": _flat, "pred": 2 * _flat})
scene_case("no_other_90x160", "90x160", 46, lambda *_: {"others": _nobody})
scene_case("other_equals_fix_90x160", "90x160", 47, lambda c, _: {"others": c["fixations"]})

# The prediction has another size.
scene_case("resize_up_36x64_to_90x160", "90x160", 50, lambda *_: {"pred": scene("36x64", 50, 60)[0]["pred"]})
scene_case("resize_up_90x160_to_360x640", "360x640", 51, lambda *_: {"pred": scene("90x160", 51)[0]["pred"]})
scene_case("resize_down_360x640_to_90x160", "90x160", 52, lambda *_: {"pred": scene("360x640", 52)[0]["pred"]})
