"""Loading a config, changing it from the command line, dumping it."""

from dataclasses import replace
from pathlib import Path

import pytest

from saliency.config import overrides
from saliency.config.load import load_run, variants
from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.distillation.bi_kd import BiKD
from saliency.errors import InputError
from saliency.io.serial import decode, digest, dumps, encode
from saliency.testing import ToyData, ToyNetConfig, ToyTask


def run() -> Run:
    return Run(
        name="toy",
        task=ToyTask(),
        data=ToyData(),
        learners={
            "a": Learner(model=ToyNetConfig(), optimizer=Optimizer(clip_norm=1.0)),
            "b": Learner(model=ToyNetConfig()),
        },
        stages=(Stage(name="scratch", epochs=2), Stage(name="bi_kd", epochs=1, start="scratch", distiller=BiKD())),
        train=Training(batch_size=2),
    )


def test_dump_recreates_the_run() -> None:
    assert decode(encode(run())) == run()
    assert digest(run()) == digest(decode(encode(run())))
    assert digest(replace(run(), name="x")) != digest(run())


def test_load_python_and_json(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(dumps(run()))
    assert load_run(tmp_path / "config.json") == run()
    (tmp_path / "toy.py").write_text(
        "from pathlib import Path\nfrom saliency.config.load import load_run\n"
        "def config():\n    return load_run(Path(__file__).parent / 'config.json')\n"
    )
    assert load_run(tmp_path / "toy.py") == run()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.bach_size=3", "did you mean 'batch_size'"),
        ("trian.batch_size=3", "did you mean 'train'"),
        ("learners.c.init=x", "not one of: a, b"),
        ("train.batch_size=three", "expects int, got 'three'"),
        ("train.batch_size=0", "batch_size must be at least 1"),
        ("train.precision=int8", "expects one of fp32, bf16, fp16"),
        ("train.compile=maybe", "expects true or false"),
        ("train", "not of the form"),
        ("train=3", "is a group"),
        ("train.seed.x=3", "has no parts"),
        ("learners.a.model.input.size=3", "expects values like int,int"),
    ],
)
def test_wrong_overrides_are_named(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        overrides.apply(run(), [override])


def test_overrides_reach_every_kind_of_node() -> None:
    changed = overrides.apply(
        run(),
        [
            "train.batch_size=8",
            "learners.a.optimizer.lr=0.5",
            "learners.a.optimizer.clip_norm=none",
            "learners.b.optimizer=none",
            "learners.a.model.input.size=4,6",
            "stages.bi_kd.epochs=7",
            "stages.0.epochs=9",
            "stages.bi_kd.distiller.stop_gradient=false",
        ],
    )
    assert changed.train.batch_size == 8
    assert changed.learners["a"].optimizer == Optimizer(lr=0.5)
    assert changed.learners["b"].optimizer is None
    assert changed.learners["a"].model.input.size == (4, 6)
    assert [stage.epochs for stage in changed.stages] == [9, 7]
    assert changed.stages[1].distiller == BiKD(stop_gradient=False)
    assert run().train.batch_size == 2


def test_every_listed_option_can_be_set() -> None:
    for path, _, value in overrides.options(run()):
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        if isinstance(value, dict):
            continue
        assert overrides.apply(run(), [f"{path}={text}"]) == run(), path


def test_wrong_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "real.py").write_text("def config():\n    return 3\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "broken.json").write_text("{")
    for name, message in [
        ("rael.py", "did you mean"),
        ("real.py", "holds a int, not a Run"),
        ("empty.py", r"no function config\(\)"),
        ("broken.json", "cannot be read, it is no JSON"),
    ]:
        with pytest.raises(InputError, match=message):
            load_run(tmp_path / name)


def test_dump_with_a_foreign_class_is_refused() -> None:
    with pytest.raises(InputError, match="another module"):
        decode({"class": "some_module_nobody_imported:Evil"})
    with pytest.raises(InputError, match="not a dataclass"):
        decode({"class": "saliency.commands.main:run"})


def test_stages_must_follow_each_other() -> None:
    with pytest.raises(ValueError, match="does not come before"):
        replace(run(), stages=(Stage(name="a", epochs=1, start="b"),))
    with pytest.raises(ValueError, match="two stages"):
        replace(run(), stages=(Stage(name="a", epochs=1), Stage(name="a", epochs=1)))


def test_a_config_may_have_variants(tmp_path: Path) -> None:
    file = tmp_path / "several.py"
    file.write_text(
        "from dataclasses import replace\nfrom saliency.config.load import load_run\n\nVARIANTS = ('one', 'two')\n\n\n"
        "def config(variant='one'):\n    return replace(load_run('digits_bi_kd'), name=variant)\n"
    )
    assert load_run(file).name == "one" and load_run(f"{file}:two").name == "two"
    assert variants(file) == ("one", "two") and variants("digits_bi_kd") == ()
    with pytest.raises(InputError, match="several has no variant 'twoo'; did you mean 'two'"):
        load_run(f"{file}:twoo")
    with pytest.raises(InputError, match="digits_bi_kd has no variant 'two'; known: none"):
        load_run("digits_bi_kd:two")
