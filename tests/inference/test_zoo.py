import pytest
import torch

from saliency.errors import InputError
from saliency.inference.zoo import PUBLISHED, open_model
from saliency.io.weights import fits, save_model
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import InputSpec

TINY = ViNetSConfig(input=InputSpec(length=8, size=(32, 64)), width=0.125)


@pytest.fixture(scope="module")
def shapes():
    """The published models without weights."""
    with torch.device("meta"):
        return {name: config.build() for name, config in PUBLISHED.items()}


def test_every_model_fits_itself_alone(shapes):
    for name, model in shapes.items():
        assert [other for other in shapes if fits(shapes[other], model.state_dict())] == [name]


@pytest.mark.parametrize("model, name", [("tmfi", "TMFI-Net"), ("vinet_s", "ViNet-S"), ("vinet_a", "ViNet-A")])
def test_the_authors_names_are_told_apart(published, shapes, model, name):
    state = {key: torch.empty(shape, device="meta") for key, shape, _ in published.fill.keys(model)}
    assert [other for other in shapes if fits(shapes[other], state)] == [name]
    state.popitem()
    state["head.weight"] = torch.empty(3, device="meta")
    assert not any(fits(other, state) for other in shapes.values())


def test_published_weights_become_a_model(published, tmp_path):
    path = tmp_path / "ViNet_S.pt"
    torch.save({"state_dict": {f"module.{k}": v for k, v in published.state("vinet_s").items()}}, path)
    loaded = open_model(path)
    assert loaded.config == ViNetSConfig() and loaded.metadata == {"model": "ViNet-S"}
    assert not loaded.model.training
    wanted = published.model("vinet_s").state_dict()
    for name, weight in loaded.model.state_dict().items():
        assert torch.equal(weight, wanted[name]), name


def test_our_files_say_themselves_what_they_are(tmp_path):
    save_model(tmp_path / "ours.safetensors", TINY.build(), TINY, {"run": "a run"})
    loaded = open_model(tmp_path / "ours.safetensors")
    assert loaded.config == TINY and loaded.metadata == {"run": "a run"}


def test_what_fits_nothing_is_refused(tmp_path):
    torch.save(TINY.build().state_dict(), tmp_path / "tiny.pt")
    with pytest.raises(InputError, match=r"tiny\.pt: holds no config, and weights of none of ViNet-S, .*save_model"):
        open_model(tmp_path / "tiny.pt")
    (tmp_path / "page.pt").write_text("404")
    with pytest.raises(InputError, match="not a weights file; fetch it again"):
        open_model(tmp_path / "page.pt")
    with pytest.raises(InputError, match="no such file"):
        open_model(tmp_path / "none.safetensors")
