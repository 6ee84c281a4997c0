"""A model goes to a folder, or to a hub that is a folder here, and comes back the same with a page that says it all."""

import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import yaml

import saliency
from saliency.backbones import hub as hub_module
from saliency.errors import InputError
from saliency.inference.publishing import model_page


@pytest.fixture(scope="module")
def model():
    return saliency.load_model()


def maps(model):
    picture = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return next(model.predict(picture))


def test_a_folder_gives_the_same_maps_and_card(model, tmp_path):
    model.save_pretrained(tmp_path / "mine")
    model.save_pretrained(tmp_path / "mine")  # once more is no harm
    back = saliency.load_model(tmp_path / "mine")
    assert (back.name, back.card) == (model.name, model.card)
    assert np.array_equal(maps(back).values, maps(model).values) and maps(back).confidence == maps(model).confidence
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "README.md",
        "real_gaze.md",  # the notices that the licences ask to keep
        "real_gaze.safetensors",
    ]


def test_the_page_says_what_the_card_says(model):
    card = model.card
    page = model_page(model.name, card, "somebody/gaze")
    head = yaml.safe_load(page.split("---\n")[1])
    assert head["license"] == "apache-2.0" and head["library_name"] == "video-saliency"
    said = [card.about, card.protocol, *card.good_for, *card.not_for, *card.licences.values(), *card.training.values()]
    said += [text for data in card.learned_from for text in (data.name, data.licence, data.citation)]
    assert not [text for text in said if text not in page]
    best = next(score for score in card.scores if score.values["nss"] > 2)
    assert "{:.3f} [{:.3f}, {:.3f}]".format(best.values["nss"], *best.intervals["nss"]) in page
    other = replace(card, licences={"weights": "CC BY-NC 4.0"})
    assert yaml.safe_load(model_page("other", other, "x").split("---\n")[1])["license"] == "other"
    silent = model_page("silent", None, "x")
    assert "do not say what they learned from" in silent and "license" not in yaml.safe_load(silent.split("---\n")[1])


def test_other_weights_are_left_alone(model, tmp_path):
    (tmp_path / "theirs.pt").write_bytes(b"1")
    with pytest.raises(InputError, match=r"holds theirs\.pt already; a folder holds one model"):
        model.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.pt"]
    with pytest.raises(InputError, match="cannot be written to"):
        model.save_pretrained(tmp_path / "theirs.pt")


def test_to_the_hub_and_back(model, tmp_path, monkeypatch):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    asked = []

    def create_repo(self, repository, *, private, exist_ok):
        asked.append((repository, private, exist_ok))
        (tmp_path / repository).mkdir(parents=True)
        return f"https://huggingface.co/{repository}"

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        shutil.copytree(folder_path, tmp_path / repo_id, dirs_exist_ok=True)

    api = huggingface_hub.HfApi
    monkeypatch.setattr(hub_module, "reachable", lambda url: True)
    monkeypatch.setattr(api, "create_repo", create_repo)
    monkeypatch.setattr(api, "upload_folder", upload_folder)
    monkeypatch.setattr(api, "list_repo_files", lambda self, name: [p.name for p in (tmp_path / name).iterdir()])
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda name, file: str(tmp_path / name / file))
    assert model.push_to_hub("somebody/gaze", private=True) == "https://huggingface.co/somebody/gaze"
    assert asked == [("somebody/gaze", True, True)]
    assert 'model="somebody/gaze"' in (tmp_path / "somebody" / "gaze" / "README.md").read_text()
    assert np.array_equal(maps(saliency.load_model("somebody/gaze")).values, maps(model).values)


def test_without_a_network_and_when_it_refuses(model, monkeypatch):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub_module, "reachable", lambda url: False)
    with pytest.raises(InputError, match=r"somebody/gaze: huggingface\.co cannot be reached; save_pretrained"):
        model.push_to_hub("somebody/gaze")

    def refuse(self, repository, **how):
        raise PermissionError("401 Unauthorized\n\nInvalid token")

    monkeypatch.setattr(hub_module, "reachable", lambda url: True)
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    with pytest.raises(InputError, match=r"PermissionError: 401 Unauthorized.*hf auth login") as error:
        model.push_to_hub("somebody/gaze")
    assert "\n" not in str(error.value)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'video-saliency\[hub\]'"):
        model.push_to_hub("somebody/gaze")


def test_a_closed_model_is_not_saved(tmp_path):
    with saliency.load_model() as model:
        pass
    with pytest.raises(InputError, match="was closed; load it again"):
        model.save_pretrained(tmp_path / "out")
    assert not (tmp_path / "out").exists()
