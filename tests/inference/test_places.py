import sys

import pytest

from saliency.backbones import hub as hub_module
from saliency.errors import InputError
from saliency.inference.places import is_hub_name
from saliency.inference.zoo import resolve


def run_folder(folder, *files):
    folder.mkdir()
    (folder / "config.json").write_text(
        '{"stages": [{"name": "scratch"}, {"name": "bi_kd"}, {"name": "later"}], "learners": {"a": {}, "b": {}}}'
    )
    for file in files:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(b"")
    return folder


def test_the_last_stage_of_a_run_that_has_weights(tmp_path):
    folder = run_folder(tmp_path / "run", "scratch/a.safetensors", "bi_kd/a.safetensors", "bi_kd/a.nss.safetensors")
    assert resolve(folder) == resolve(str(folder)) == folder / "bi_kd" / "a.safetensors"
    assert resolve(folder / "scratch") == folder / "scratch" / "a.safetensors"
    (folder / "bi_kd" / "b.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds 2 models; name one of .*bi_kd/a\.safetensors, .*bi_kd/b\.safetensors"):
        resolve(folder)


def test_folders_without_weights(tmp_path):
    with pytest.raises(InputError, match="a folder without weights; name a weights file"):
        resolve(run_folder(tmp_path / "run"))
    (tmp_path / "run" / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json: cannot be read as that of a run"):
        resolve(tmp_path / "run")


def test_names_of_the_hub_are_no_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    assert is_hub_name("somebody/vinet-s") and is_hub_name("a/b.c")
    for path in ("runs/vinet", "vinet", "a/b/c", "/a/b", "../b", "a/b.pt", "a/b.safetensors"):
        assert not is_hub_name(path)


def test_the_hub_is_not_there(tmp_path, monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(hub_module, "reachable", lambda url: False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"somebody/vinet-s: no file or folder here, .* check the name and") as error:
        resolve("somebody/vinet-s")
    assert "\n" not in str(error.value)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'video-saliency\[hub\]'"):
        resolve("somebody/vinet-s")


def test_what_was_downloaded_before(tmp_path, monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    import huggingface_hub

    monkeypatch.setattr(hub_module, "reachable", lambda url: False)
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, local_files_only: str(tmp_path) if local_files_only else ""
    )
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert not constants.HF_HUB_OFFLINE
    assert resolve("somebody/vinet-s") == tmp_path / "model.safetensors"


@pytest.mark.parametrize(
    ("files", "message"),
    [(["README.md"], "holds 0 weights files"), (["a.safetensors", "b.safetensors"], "holds 2 weights files")],
)
def test_repositories_with_none_or_several(monkeypatch, files, message):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub_module, "reachable", lambda url: True)
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda self, name: files)
    with pytest.raises(InputError, match=message):
        resolve("somebody/vinet-s")


def test_a_repository_with_one_model(tmp_path, monkeypatch):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub_module, "reachable", lambda url: True)
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda self, name: ["a.pt", "m.safetensors", "x.md"])
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda name, file: str(tmp_path / name / file))
    assert resolve("somebody/vinet-s") == tmp_path / "somebody" / "vinet-s" / "m.safetensors"
