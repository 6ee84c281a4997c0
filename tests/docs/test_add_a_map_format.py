"""The map format of docs/add-a-map-format.md, with its entry, as the page prints them."""

import re
from pathlib import Path

import numpy as np
import pytest

from saliency.errors import InputError
from saliency.io import maps

PAGE = (Path(__file__).parents[2] / "docs/add-a-map-format.md").read_text(encoding="utf-8")
FUNCTIONS, ENTRY = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_it_keeps_the_values_and_names_bad_files(tmp_path, monkeypatch):
    names = {"MapFile": maps.MapFile}
    exec(FUNCTIONS, names)
    monkeypatch.setattr(maps, "MAP_FILES", {**maps.MAP_FILES, **eval(f"{{{ENTRY}}}", names)})
    density = np.random.default_rng(0).random((5, 7), np.float32) * 9
    maps.write_density(tmp_path / "a.tif", density)
    np.testing.assert_array_equal(maps.read_density(tmp_path / "a.tif"), density)
    (tmp_path / "bad.tif").write_text("no picture")
    with pytest.raises(InputError, match=r"bad\.tif: is not a TIFF file"):
        maps.read_density(tmp_path / "bad.tif")
