import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from saliency.datasets.dhf1k import DHF1K
from saliency.datasets.folder import Folder
from saliency.datasets.hollywood2 import Hollywood2
from saliency.datasets.mini import Mini
from saliency.datasets.ucf_sports import UCFSports
from saliency.errors import InputError
from saliency.preparation.catalogue import DATA_SETS, find
from saliency.preparation.picking import choose

README = Path(__file__).parents[2] / "datasets/README.md"


def test_what_the_names_mean(tmp_path):
    (tmp_path / "study/videos/a").mkdir(parents=True)
    (tmp_path / "study/gaze").mkdir()
    (tmp_path / "study/gaze/a.csv").touch()
    assert choose("mini").data == Mini() and choose("mini").title == "mini test"
    assert choose("real").data == Mini() and choose("real").title == "real"
    chosen = choose("dhf1k", root=tmp_path)
    assert chosen.data == DHF1K(root=tmp_path) and chosen.title == "dhf1k val"
    assert choose("hollywood2", split="train").data == Hollywood2()
    chosen = choose(str(tmp_path / "study"))
    assert chosen.data == Folder(root=tmp_path / "study", splits={"test": "a"}) and chosen.title == "study test"


def test_every_entry_is_whole():
    for entry in DATA_SETS.values():
        config = entry.config()
        known = {field.name for field in dataclasses.fields(config)}
        assert entry.default_split in entry.splits and set(entry.whole_splits) <= set(entry.splits)
        assert set(entry.whole) <= known
        assert entry.built or "root" in known
        assert callable(config.videos) and callable(config.view) and "sampling" in known
        if entry.variable:
            assert entry.variable in (config.__doc__ or "") and entry.source
            assert f"`{entry.variable}`" in README.read_text()


def test_wrong_use_is_one_line(tmp_path):
    for call, said in (
        (lambda: choose("dhf1kk"), "--data dhf1kk is no folder and none of mini, .*; did you mean 'dhf1k'"),
        (lambda: choose("mini", root=tmp_path), "mini is built by the project and has no folder; leave --root out"),
        (lambda: choose(str(tmp_path), root=tmp_path), "is a folder already; leave --root out"),
        (lambda: choose("folder"), "folder needs its folder; name it with --root FOLDER"),
        (lambda: find("ucf-sports"), "'ucf-sports' is none of the data sets .*; did you mean 'ucf_sports'"),
        (lambda: find("ucf_sports").make_whole(tmp_path, videos="1-3"), "cannot be chosen by number; leave it out"),
    ):
        with pytest.raises(InputError, match=said):
            call()


def test_all_of_a_data_set(tmp_path):
    assert find("dhf1k").make_whole(tmp_path, own=True, videos="1-3") == DHF1K(
        root=tmp_path, register=False, may_be_empty=True, splits={"videos": "1-3"}
    )
    assert find("ucf_sports").make_whole(tmp_path) == UCFSports(root=tmp_path, held_out=0)
    assert find("folder").make_whole(tmp_path, own=True) == Folder(root=tmp_path)


def test_reading_the_table_imports_nothing_heavy():
    code = "import sys; import saliency.preparation.catalogue; assert not {'torch', 'numpy', 'av'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=dict(os.environ))
