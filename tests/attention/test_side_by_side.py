"""Two drawn cuts of one scene: what is in the tables and on the page is what was drawn."""

import csv
import re

import av
import numpy as np
import pytest
import torch

from saliency.attention.notes import ModelNotes
from saliency.attention.side_by_side import PairRegions, write_comparison
from saliency.errors import InputError
from saliency.io.frames import open_frames

SIZE = (72, 128)
NOTES = ModelNotes(name="bright", licence="Apache-2.0")


class Bright:
    """Maps that are the brightness, at half the size."""

    def maps(self, source):
        for i, frame in enumerate(source.iterate()):
            yield i, torch.from_numpy(np.where(frame[::2, ::2].mean(axis=2) > 125, 1.0, 0.0)).float()


def film(path, logo_from, count, size=SIZE):
    """A bright box of 16x16 on the left, one of 16x16 on the right (the logo) from a frame on."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "4"})
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for i in range(count):
            frame = np.zeros((*size, 3), dtype=np.uint8)
            frame[32:48, 16:32] = 250
            if i >= logo_from:
                frame[32:48, 96:112] = 250
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def cuts(tmp_path):
    return film(tmp_path / "first <cut>.mp4", 6, 12), film(tmp_path / "second.mp4", 2, 8)


def compare(cuts, folder, **regions):
    with open_frames(cuts[0]) as first, open_frames(cuts[1]) as second:
        return write_comparison([first, second], Bright(), folder, PairRegions(**regions), notes=NOTES)


def test_the_table_says_what_was_drawn(tmp_path, cuts):
    out = tmp_path / "out"
    compared = compare(cuts, out, both=["logo=96,32,16,16"], second=["left=16,32,16,16"])
    overlays = ["overlay_a.mp4", "overlay_b.mp4"]
    names = ["compare.csv", "compare.html", "frames_a.csv", "frames_b.csv", *overlays]
    assert sorted(p.name for p in out.iterdir()) == names and not compared.problems
    with (out / "compare.csv").open(newline="") as file:
        rows = {(row["region"], row["measure"]): row for row in csv.DictReader(file)}

    def values(*key):
        return [float(rows[key][side]) for side in ("a", "b", "b_minus_a")]

    # half of the attention in 6 of 12 frames, and in 6 of 8
    assert values("logo", "attention") == pytest.approx([0.25, 0.375, 0.125])
    assert values("logo", "area") == pytest.approx([1 / 36, 1 / 36, 0])
    assert values("logo", "times_its_size") == pytest.approx([9, 13.5, 4.5], rel=1e-5)
    assert values("", "seconds") == pytest.approx([1.2, 0.8, -0.4])
    assert rows["left", "attention"] == {
        **{"region": "left", "measure": "attention"},
        **{"a": "", "b": "0.625", "b_minus_a": ""},
    }
    assert rows["logo", "first_peak_seconds"]["a"] == "", "the box on the left comes first among equals"

    html = (out / "compare.html").read_text()
    assert not re.search(r"https?://|@import|url\(", html)
    assert html.count("data:video/mp4") == 2 and "first &lt;cut&gt;.mp4" in html and "<cut>" not in html
    assert "B gives it 12.5 percentage points more." in html and "left: not in A; in B it gets 62 %" in html
    assert html.count('data-side="a"') == html.count('data-side="b"') == 4
    assert set(re.findall(r'data-duration="([\d.]+)"', html)) == {"1.200"}, "both over the time of the longer one"


def test_the_same_film_twice_differs_in_nothing(tmp_path, cuts):
    compare((cuts[1], cuts[1]), tmp_path / "out", both=["logo=96,32,16,16"])
    with (tmp_path / "out" / "compare.csv").open(newline="") as file:
        assert {row["b_minus_a"] for row in csv.DictReader(file)} == {"0", ""}
    html = (tmp_path / "out" / "compare.html").read_text()
    assert "That is about the same." in html and "the same in both" in html


def test_a_region_must_be_told_for_films_of_two_sizes(tmp_path, cuts):
    small = film(tmp_path / "small.mp4", 0, 3, (64, 112))
    with pytest.raises(InputError, match=r"logo=96,32,16,16: the films have different sizes \(.*112x64\); .* --roi-b"):
        compare((cuts[1], small), tmp_path / "out", both=["logo=96,32,16,16"])
    assert not (tmp_path / "out").exists()
    compare((cuts[1], small), tmp_path / "out", both=["logo=96,32,16,16"], second=["logo=96,32,16,16"])
