"""pysaliency scores a model of the project as the project does, on photographs that went from there to here."""

import sys
from types import ModuleType

import numpy as np
import pytest

import saliency
from saliency.adapters.pysaliency import as_picture, saliency_map_model, write_photographs
from saliency.datasets.stills import Stills
from saliency.errors import InputError


@pytest.fixture
def pysaliency(monkeypatch):
    """The package; it imports what recent setuptools no longer has, for models in other languages."""
    if "pkg_resources" not in sys.modules:
        stand_in = ModuleType("pkg_resources")
        stand_in.resource_string = stand_in.resource_listdir = None
        monkeypatch.setitem(sys.modules, "pkg_resources", stand_in)
    return pytest.importorskip("pysaliency")


@pytest.fixture
def data(pysaliency):
    """Three pictures; the second was not looked at."""
    rng = np.random.default_rng(0)
    stimuli = pysaliency.Stimuli(
        [rng.integers(0, 256, shape).astype(np.uint8) for shape in ((30, 40, 3), (8, 8), (24, 36))]
    )
    trains = pysaliency.FixationTrains.from_fixation_trains(
        xs=[[3.9, 20.0], [39.5], [1.0, 35.2, 50.0]],
        ys=[[0.2, 10.5], [29.9], [1.0, 23.0, 2.0]],
        ts=[[0.1, 0.5], [0.2], [0.1, 0.2, 0.3]],
        ns=[0, 0, 2],
        subjects=[0, 1, 1],
    )
    return stimuli, trains


def test_a_model_is_scored_there_as_here(pysaliency, data, tmp_path):
    model = saliency.load_model()
    theirs = saliency_map_model(model, caching=False)
    stimuli, fixations = data
    expected = next(model.predict(stimuli.stimuli[0])).values
    assert np.array_equal(theirs.saliency_map(stimuli[0]), expected)
    assert theirs.saliency_map(stimuli[2]).shape == (24, 36)  # grey
    first = fixations[fixations.n == 0]
    video = Stills(name="theirs", root=write_photographs(stimuli, fixations, tmp_path / "own")).videos("test")[0]
    ours = saliency.score(expected, fixations=video.fixations(0), metrics=["nss"])["nss"]
    ddof = np.sqrt(expected.size / (expected.size - 1))  # pysaliency divides by N
    assert theirs.NSSs(stimuli, first).mean() == pytest.approx(ours * ddof, rel=1e-5)


def test_photographs_keep_pixels_viewers_and_fixations(data, tmp_path, caplog):
    root = write_photographs(*data, tmp_path / "own", split="val")
    assert "1 of 3 photographs have no fixation" in caplog.text
    first, third = Stills(name="theirs", root=root).videos("val")
    with first.open() as source:
        assert np.array_equal(source.read([0])[0], data[0].stimuli[0])
    assert np.argwhere(first.fixations(0)).tolist() == [[0, 3], [10, 20], [29, 39]]
    assert np.argwhere(third.fixations(0)).tolist() == [[1, 1], [23, 35]]  # x 50 is beyond the picture
    gaze = first.gaze()
    assert gaze.viewers.tolist() == [0, 0, 1] and gaze.order.tolist() == [0, 1, 0]
    assert gaze.points == pytest.approx(np.array([[3.9, 0.2], [20.0, 10.5], [39.5, 29.9]]), abs=1e-5)


def test_what_cannot_be_written_is_refused_before_anything_is(data, tmp_path):
    stimuli, fixations = data
    with pytest.raises(InputError, match="do not belong to these 2 stimuli"):
        write_photographs(stimuli[[0, 1]], fixations, tmp_path / "new")
    with pytest.raises(InputError, match="'testing' is no split"):
        write_photographs(stimuli, fixations, tmp_path / "new", split="testing")
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InputError, match="holds something already"):
        write_photographs(stimuli, fixations, tmp_path)
    with pytest.raises(InputError, match=r"expected 0 to 255"):
        as_picture(np.full((2, 2), 300.0))


def test_without_it_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysaliency", None)
    with pytest.raises(InputError, match=r"pip install 'video-saliency\[pysaliency\]'"):
        saliency_map_model(saliency.load_model())
