"""Compare our fixations with those of pymovements on drawn recordings: `python benchmarks/gaze.py`.

Needs pymovements (860 MB installed, so in an environment of its own) and numpy; of this project only
`saliency/gaze/fixations.py`. Prints the table of docs/how-to/eye-tracking-laboratory.md and writes the fixations that
pymovements found, which `tests/gaze/test_fixations.py` compares with ours.
"""

import json
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests/data/gaze/pymovements.json"
DURATION = 100
"""Milliseconds of the shortest fixation."""
CASES = [
    {"rate": rate, "noise": noise, "seed": seed}
    for seed, (rate, noise) in enumerate([(100, 0.02), (100, 0.1), (250, 0.02), (250, 0.1), (500, 0.005), (500, 0.1)])
]
DISPERSIONS = (0.5, 1.0, 2.0)
"""Degrees."""
VELOCITIES = (20.0, 30.0, 60.0)
"""Degrees a second."""


def recording(rate: int, noise: float, seed: int, seconds: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Draw gaze: stops of 0.15 to 0.6 s, saccades of 2 to 12 degrees and their usual speed, white noise.

    Args:
        rate: samples a second; divides 1000.
        noise: standard deviation in degrees, of x and of y.
        seed: of all of it.
        seconds: length.

    Returns:
        Times (n,) in milliseconds and places (n, 2) in degrees.
    """
    rng = np.random.default_rng(seed)
    places, at = [], np.zeros(2)
    while len(places) < seconds * rate:
        places += [at] * int(rng.uniform(0.15, 0.6) * rate)
        length, angle = rng.uniform(2, 12), rng.uniform(0, 2 * np.pi)
        to = at + length * np.array((np.cos(angle), np.sin(angle)))
        steps = max(1, round((0.021 + 0.0022 * length) * rate))  # the main sequence: Carpenter (1988)
        places += [at + (to - at) * (1 - np.cos(np.pi * k / steps)) / 2 for k in range(1, steps)]
        at = to
    xy = np.array(places[: seconds * rate])
    return np.arange(len(xy)) * (1000 // rate), xy + rng.normal(0, noise, xy.shape)


def flags(events: list[list[int]], time: np.ndarray, *, without_last: bool = False) -> np.ndarray:
    """Whether each sample lies in one of the events (first and last millisecond), (n,) bool.

    Args:
        events: the events.
        time: of the samples.
        without_last: leave out the last sample of each that does not end with the recording.
    """
    inside = np.zeros(len(time), dtype=bool)
    for onset, offset in events:
        inside |= (time >= onset) & ((time < offset) if without_last and offset < time[-1] else (time <= offset))
    return inside


def neighbours_speed(time: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """The larger of the speeds (n,) from the sample before and to the next, in degrees a second."""
    speed = np.linalg.norm(np.diff(xy, axis=0), axis=1) / np.diff(time) * 1000
    return np.maximum(np.append(speed, 0), np.insert(speed, 0, 0))


def main() -> None:
    """Compare."""
    import pymovements
    from pymovements.events import idt, ivt

    from saliency.gaze import fixations as ours

    print(f"pymovements {pymovements.__version__}")
    found = []
    print(
        "| samples a second | noise | method | threshold | fixations | samples judged alike | but for each last one |"
    )
    print("|---:|---:|---|---:|---:|---:|---:|")
    for case in CASES:
        time, xy = recording(**case)
        speed = neighbours_speed(time, xy)
        for method, limits in (("I-DT", DISPERSIONS), ("I-VT", VELOCITIES)):
            for limit in limits:
                if method == "I-DT":  # it counts samples: one more than there are intervals
                    events = idt(xy, time, minimum_duration=DURATION + 1000 // case["rate"], dispersion_threshold=limit)
                    own = ours.by_dispersion(time / 1000, xy, dispersion=limit, duration=DURATION / 1000)
                else:  # the speeds are given to it
                    pair = np.stack((speed, np.zeros_like(speed)), axis=1)
                    events = ivt(pair, time, minimum_duration=DURATION, velocity_threshold=limit)
                    own = ours.by_velocity(time / 1000, xy, velocity=limit, duration=DURATION / 1000)
                frame = events.frame
                theirs = [[int(a), int(b)] for a, b in zip(frame["onset"], frame["offset"], strict=True)]
                alike = (flags(theirs, time) == own).mean()
                short = (flags(theirs, time, without_last=method == "I-DT") == own).mean()
                print(
                    f"| {case['rate']} | {case['noise']:g}° | {method} | {limit:g} | {len(theirs)} | "
                    f"{100 * alike:.1f} % | {100 * short:.2f} % |"
                )
                found.append({**case, "method": method, "limit": limit, "fixations": theirs})
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    text = ",\n".join(json.dumps(each) for each in found)
    GOLDEN.write_text(f'{{"pymovements": "{pymovements.__version__}", "cases": [\n{text}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
