"""One run under several seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from saliency.config.run import Learner, Run, Stage, Training
from saliency.testing import ToyData, ToyNetConfig, ToyTask
from saliency.training.seeds import train_seeds

CALLS: list[tuple[str, object]] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """A report that remembers what it was asked for."""

    calls: tuple[str, ...] = field(default=())

    def __call__(self, run: Run, folder: Path) -> None:
        CALLS.append((folder.name, run.train.seed))

    def combine(self, run: Run, folders: Sequence[Path], out: Path) -> None:
        CALLS.append((out.name, [folder.name for folder in folders]))


def toy(seed: int = 3) -> Run:
    return Run(
        name="toy",
        task=ToyTask(),
        data=ToyData(size=4, held_out=2),
        learners={"a": Learner(model=ToyNetConfig())},
        stages=(Stage(name="scratch", epochs=1),),
        train=Training(device="cpu", seed=seed),
        report=Recorder(),
    )


def test_each_seed_has_its_folder_and_the_table_is_over_all(tmp_path: Path) -> None:
    CALLS.clear()
    train_seeds(toy(), tmp_path / "out", seeds=2)
    assert CALLS == [("seed-3", 3), ("seed-4", 4), ("out", ["seed-3", "seed-4"])]
    first, second = (tmp_path / "out" / name / "log.jsonl" for name in ("seed-3", "seed-4"))
    assert first.read_text() != second.read_text()


def test_one_seed_of_several_equals_the_run_alone(tmp_path: Path) -> None:
    train_seeds(toy(), tmp_path / "many", seeds=2)
    train_seeds(replace(toy(), train=Training(device="cpu", seed=4)), tmp_path / "alone")
    assert (tmp_path / "many" / "seed-4" / "log.jsonl").read_text() == (tmp_path / "alone" / "log.jsonl").read_text()


def test_resume_starts_the_seeds_that_are_missing(tmp_path: Path) -> None:
    train_seeds(toy(), tmp_path / "out" / "seed-3")
    CALLS.clear()
    train_seeds(toy(), tmp_path / "out", seeds=2, resume=True)
    assert [name for name, _ in CALLS] == ["seed-3", "seed-4", "out"]
