"""Without a network: one line that names the file to place, at once."""

import sys
import time

import pytest

from saliency.backbones import hub as module
from saliency.backbones.hub import hub, reachable
from saliency.errors import InputError

constants = pytest.importorskip("huggingface_hub.constants")


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "reachable", lambda url: False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))


def test_the_library_is_left_as_it_was(monkeypatch):
    before = constants.HF_HUB_OFFLINE
    for answer in (True, False):
        monkeypatch.setattr(module, "reachable", lambda url, answer=answer: answer)
        with pytest.raises(ValueError, match="inside"), hub():
            assert (before or not answer) == constants.HF_HUB_OFFLINE
            raise ValueError("inside")
        assert before == constants.HF_HUB_OFFLINE


def test_without_the_hubs_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'video-saliency\[hub\]'"), hub():
        pass


def test_nobody_answers(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert not reachable("https://127.0.0.1:1")
    assert not reachable("https://host.invalid")
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    assert reachable("https://host.invalid")  # left to the proxy


def test_models_of_timm(no_network):
    pytest.importorskip("timm")
    from saliency.models.timm_classifier import TimmConfig

    start = time.monotonic()
    with pytest.raises(InputError, match=r"get model.safetensors of https://huggingface.co/timm/test_vit") as error:
        TimmConfig(name="test_vit.r160_in1k").build("hub")
    assert "\n" not in str(error.value)
    assert time.monotonic() - start < 5


def test_dinov2(no_network):
    pytest.importorskip("timm")
    from saliency.models.dinov2_linear import DINOv2LinearConfig

    with pytest.raises(InputError, match=r"set the learner's init to that file") as error:
        DINOv2LinearConfig().build("hub")
    assert "\n" not in str(error.value)


def test_mambavision(no_network, monkeypatch):
    pytest.importorskip("transformers")
    import importlib.util

    from saliency.models.mambavision import MambaVisionConfig

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: name == "mamba_ssm" or find(name, *more))
    monkeypatch.setattr("saliency.models.mambavision._has_gpu", lambda: True)
    with pytest.raises(InputError, match=r"hf download nvidia/MambaVision-T2-1K --local-dir FOLDER.*name") as error:
        MambaVisionConfig(trust_remote_code=True).build("hub")
    assert "\n" not in str(error.value)


def test_mask2former(no_network, tmp_path):
    pytest.importorskip("transformers")
    from saliency.models.mask2former import MASK2FORMER_R50, MASK2FORMER_SWIN_T

    wanted = r"put config.json and model.safetensors of huggingface.co/facebook/mask2former-swin-tiny-ade-semantic"
    with pytest.raises(InputError, match=wanted) as error:
        MASK2FORMER_SWIN_T.build("hub")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"no file .*model_final_500878.pkl; download it from the model zoo"):
        MASK2FORMER_R50.build(str(tmp_path / "model_final_500878.pkl"))
