import pytest
import torch

from saliency.errors import InputError
from saliency.inference.zoo import BUNDLED, MODELS, list_models, open_model, resolve
from saliency.io.weights import fits, save_model
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import InputSpec

TINY = ViNetSConfig(input=InputSpec(length=8, size=(32, 64)), width=0.125)


@pytest.fixture(scope="module")
def shapes():
    """The published models without weights."""
    with torch.device("meta"):
        return {entry.title: entry.config.build() for entry in MODELS if entry.config is not None}


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


def test_the_list_names_what_the_project_brings():
    models = list_models()
    assert models[0].default and not any(entry.default for entry in models[1:])
    assert len({entry.name for entry in models}) == len({entry.title for entry in models}) == len(models)
    own = {entry.name for entry in models if entry.config is None}
    assert own == {path.stem for path in BUNDLED.glob("*.safetensors")}
    assert all(entry.source for entry in models if entry.config is not None)


def test_names_and_paths_become_files(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert resolve() == resolve("default") == resolve("real_gaze") == BUNDLED / "real_gaze.safetensors"
    assert resolve("mini_vinet_a") == BUNDLED / "mini_vinet_a.safetensors"
    mine = tmp_path / "mine.pt"
    mine.write_bytes(b"")
    assert resolve(mine) == resolve(str(mine)) == mine
    with pytest.raises(
        InputError, match=r"vinet_aa: no such file, and no model of this name .*did you mean 'vinet_a'\?"
    ):
        resolve("vinet_aa")
    place = tmp_path / "torch/hub/checkpoints"
    with pytest.raises(InputError, match=rf"no weights of tmfi_net .*wusonghe/TMFI-Net\) at {place}/tmfi_net\.pt"):
        resolve("tmfi_net")
    place.mkdir(parents=True)
    (place / "tmfi_net.pth").write_bytes(b"")
    assert resolve("tmfi_net") == place / "tmfi_net.pth"
