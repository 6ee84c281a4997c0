"""Configs become JSON and come back, also those that were written before modules moved."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from saliency.config.load import load_run
from saliency.errors import InputError
from saliency.io.serial import MOVED, decode, dumps, encode, loads, upgraded
from saliency.models.tmfi_net import TMFINetConfig
from saliency.models.vinet_a import ViNetAConfig
from saliency.models.vinet_s import ViNetSConfig
from saliency.training.run_folder import CONFIG, claim, differences
from saliency.types import InputSpec

EARLIER = sorted((Path(__file__).parents[1] / "data/config").glob("*.json"))
"""What the version before the rooms wrote of its configs of these names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyConfig:
    input: InputSpec = field(default_factory=lambda: InputSpec(length=2, size=(4, 6)))
    gains: tuple[float, ...] = (1.0, 2.5)
    name: str | None = None


def test_a_config_survives_json():
    for config in (
        TinyConfig(gains=(0.1,), name="x"),
        ViNetSConfig(width=0.25),
        TMFINetConfig(depths=(1, 1, 2, 1), input=InputSpec(size=(64, 96))),
        ViNetAConfig(),
        {"a": (Path("b/c"), None, True), "fields": {"d": 1}},
    ):
        assert loads(dumps(config)) == config


def test_the_fields_may_stand_apart():
    spec = {"class": "saliency.types:InputSpec", "fields": {"length": 2, "size": [4, 6]}}
    text = json.dumps({"class": f"{__name__}:TinyConfig", "fields": {"input": spec, "gains": [3.0]}})
    assert loads(text) == TinyConfig(gains=(3.0,))


@pytest.mark.parametrize("path", EARLIER, ids=lambda path: path.stem)
def test_configs_of_before_load_and_their_runs_go_on(path, tmp_path):
    before = json.loads(path.read_text())
    assert any(f'"{module}:' in path.read_text() for module in MOVED)
    run = load_run(path)
    assert run.name == path.stem and len(run.learners) == len(before["learners"])
    changed = differences(before, encode(run))  # where classes are, settings that did not exist, and one other name
    allowed = ("class: ", ": nothing -> ", 'backend: "pyav" -> nothing')
    assert all(any(words in change for words in allowed) for change in changed), changed
    assert upgraded(before) == encode(run) and upgraded(encode(run)) == encode(run)
    (tmp_path / CONFIG).write_text(path.read_text())
    with claim(tmp_path, run, {}, resume=True):
        pass
    (tmp_path / CONFIG).write_text(path.read_text())
    other = replace(run, train=replace(run.train, batch_size=run.train.batch_size + 1))
    with (
        pytest.raises(InputError, match=r"begun with another config \(train.batch_size: "),
        claim(tmp_path, other, {}, resume=True),
    ):
        pass


def test_what_cannot_be_built_today_keeps_its_values():
    lost = {"class": "saliency.datasets.targets:Nothing", "stride": 3, "rule": {"class": "gone:Rule", "n": 1}}
    assert upgraded([lost]) == [lost | {"class": "saliency.data.targets:Nothing"}]


def test_earlier_dumps_are_there():
    assert len(EARLIER) >= 3


def test_strange_configs_are_refused():
    text = dumps(TinyConfig())
    for changed, said in (
        (text.replace(f"{__name__}:", "no_such_module:"), "import no_such_module first"),
        ('{"class": "saliency.commands.main:run"}', "does not exist or is not a dataclass"),
        ('{"class": "saliency.no_such_room:Thing"}', "is not in this version"),
        ('{"class": ["saliency"]}', "is no class path"),
        (text.replace('"gains"', '"colour"'), "has no 'colour'; was it saved by a newer version"),
        (text.replace('"length": 2', '"length": "two"'), "InputSpec of this version refuses its values"),
        (text[:-5], "x.json: its config cannot be read"),
    ):
        with pytest.raises(InputError, match=said) as error:
            loads(changed, "x.json")
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="cannot hold a set"):
        encode(TinyConfig(name={1}))


@pytest.mark.parametrize("path", ["os:path", "subprocess:Popen", "builtins:eval", "saliency.types:__builtins__"])
def test_a_config_cannot_name_other_code(path):
    with pytest.raises(InputError):
        decode({"class": path})
