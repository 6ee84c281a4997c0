"""The folder that a report is: a drawn film in, every file looked into."""

import csv
import dataclasses
import re
from html.parser import HTMLParser

import av
import numpy as np
import pytest
import torch
from PIL import Image

from saliency.attention import page_parts
from saliency.attention.notes import ModelNotes
from saliency.attention.report import Wishes, write_report
from saliency.errors import InputError
from saliency.io.frames import open_frames

SIZE = (72, 128)
NOTES = ModelNotes(name="bright", about="looks at what is bright", licence="Apache-2.0", sha256="ab" * 32)


class Bright:
    """Maps that are the brightness, squared, at half the size."""

    def maps(self, source):
        for i, frame in enumerate(source.iterate()):
            yield i, torch.from_numpy((frame[::2, ::2].mean(axis=2) / 255) ** 2).float()


def picture(i):
    """A bright box that walks to the right, behind a cut at frame 20 it stands on the right."""
    frame = np.full((*SIZE, 3), 20 if i < 20 else 70, dtype=np.uint8)
    x = 8 + 2 * i if i < 20 else 96
    frame[20:40, x : x + 16] = 250
    frame[24:36:4, x : x + 16] = 180
    return frame


@pytest.fixture
def ad(tmp_path):
    path = tmp_path / "ad & co.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "12"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for i in range(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(i), "rgb24")))
        container.mux(stream.encode())
    return path


def report(source, folder, problem=None, **wishes):
    return write_report(source, Bright(), folder, Wishes(**wishes), notes=NOTES)


def addresses(html):
    found = []

    class Look(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.extend(v for k, v in attrs if k in ("src", "href", "poster", "srcset", "action", "data") and v)

    Look().feed(html)
    return found


def test_every_file(tmp_path, ad):
    out = tmp_path / "out"
    seen = []
    with open_frames(ad) as source:
        wishes = Wishes(regions=["logo=96,20,16,20", "gone=0,0,4,4"], crop="9:16", thumbnails=2)
        found = write_report(
            source, Bright(), out, wishes, notes=NOTES, on_frame=lambda frame: seen.append(frame.number)
        )
    assert seen == list(range(40))
    assert sorted(p.name for p in out.iterdir()) == [
        *("crop.mp4", "frames.csv", "overlay.mp4", "report.html", "thumb_1.png", "thumb_2.png")
    ]
    assert (found.problem, found.film.cuts, len(found.thumbnails)) == (None, (20,), 2)
    assert found.crop.share.mean() > found.crop.fixed_share.mean() + 0.2

    with (out / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    inside = 8 * (7 * 250**2 + 3 * 180**2)  # cells of the box: ten rows, three of them on a grey line
    expected = inside / (inside + (36 * 64 - 80) * 70**2)
    assert float(rows[39]["logo_attention"]) == pytest.approx(expected, abs=0.02)
    assert float(rows[0]["logo_attention"]) < 0.02
    assert 96 < float(rows[39]["peak_x"]) < 112

    with open_frames(out / "crop.mp4", expected=40) as crop:
        assert crop.size == (72, 40)
        for i in (0, 25, 39):
            x = int(rows[i]["crop_x"])
            assert np.abs(crop.read([i])[0].astype(int) - picture(i)[:, x : x + 40]).mean() < 4
    for place, frame in enumerate(found.thumbnails, 1):
        with Image.open(out / f"thumb_{place}.png") as thumb, open_frames(ad) as source:
            assert (np.asarray(thumb) == source.read([frame])[0]).all()

    html = (out / "report.html").read_text()
    local = {"frames.csv", "overlay.mp4", "crop.mp4", "thumb_1.png", "thumb_2.png"}
    assert {a for a in addresses(html) if not a.startswith("data:")} == local
    assert not re.search(r"https?://|@import|url\(", html)
    assert "ad &amp; co.mp4" in html and "ad & co" not in html
    assert html.count("data:video/mp4") == 1 and html.count("data:image/jpeg") == 2
    for word in ("2 scenes", "logo gets", "it first holds the peak at 2 s", "Apache-2.0", "abab", "Nobody&#x27;s eyes"):
        assert word in html, word


def test_numbers_in_words(tmp_path, ad):
    with open_frames(ad) as source:
        found = report(source, tmp_path / "out", regions=["all=0,0,128,72"])
    html = (tmp_path / "out" / "report.html").read_text()
    assert "all gets 100 % of the attention on 100 % of the picture, 1.0 times what its size alone would get" in html
    assert found.crop is None and "Re-framed" not in html and "Thumbnails" not in html


def test_a_large_film_is_linked(tmp_path, ad, monkeypatch):
    monkeypatch.setattr(page_parts, "EMBEDDED", 100)
    with open_frames(ad) as source:
        report(source, tmp_path / "out")
    html = (tmp_path / "out" / "report.html").read_text()
    assert 'src="overlay.mp4"' in html and "data:video" not in html and "keep the files" in html


def test_a_second_report_takes_away_what_it_does_not_write(tmp_path, ad):
    with open_frames(ad) as source:
        report(source, tmp_path / "out", crop="1:1", thumbnails=3)
        (tmp_path / "out" / "mine.png").touch()
        report(source, tmp_path / "out", thumbnails=1)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        *("frames.csv", "mine.png", "overlay.mp4", "report.html", "thumb_1.png")
    ]


def test_a_picture(tmp_path):
    Image.fromarray(picture(30)).save(tmp_path / "photo.png")
    with open_frames(tmp_path / "photo.png") as source:
        report(source, tmp_path / "out", regions=["logo=96,20,16,20"], crop="1:1")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        *("crop.png", "frames.csv", "overlay.png", "report.html")
    ]
    html = (tmp_path / "out" / "report.html").read_text()
    assert "data:image/png" in html and "<video" not in html and 'class="chart"' not in html
    assert "and it holds the peak." in html


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"regions": ["a=1,2,3"]}, "a region is written"),
        ({"crop": "wide"}, "WIDTH:HEIGHT"),
        ({"thumbnails": -1}, "--thumbnails"),
        ({"thumbnails": 1000}, "--thumbnails"),
    ],
)
def test_bad_wishes_write_nothing(tmp_path, ad, wishes, message):
    with open_frames(ad) as source, pytest.raises(InputError, match=message):
        report(source, tmp_path / "out", **wishes)
    assert not (tmp_path / "out").exists()


def test_a_broken_film_is_reported_up_to_the_damage(tmp_path, ad):
    cut = tmp_path / "cut.avi"
    with av.open(str(ad)) as source, av.open(str(cut), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuvj420p"
        for frame in source.decode(video=0):
            container.mux(stream.encode(frame.reformat(format="yuvj420p")))
        container.mux(stream.encode())
    content = cut.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    with open_frames(cut) as source:
        found = report(source, tmp_path / "out", crop="9:16", thumbnails=1)
    assert found.problem is not None and 5 < len(found.film) < 40
    assert "not read to its end or is damaged" in (tmp_path / "out" / "report.html").read_text()


class DarkIsStrange:
    def confidence(self, density):
        return 1.25

    def strangeness(self, frames):
        return 2 - frames.mean(axis=(1, 2, 3)) / 50


def test_a_model_that_can_doubt_does_so_on_the_page_and_in_the_table(tmp_path, ad):
    notes = dataclasses.replace(NOTES, judge=DarkIsStrange())
    with open_frames(ad) as source:
        found = write_report(source, Bright(), tmp_path / "out", Wishes(crop="9:16"), notes=notes)
    assert found.film.doubt.confidence.tolist() == [1.25] * 40
    html = (tmp_path / "out" / "report.html").read_text()
    assert "worth 1.2 bits per look more than always pointing at the middle" in html
    assert "1 of 2 frames that were looked at are unlike all photographs" in html  # frames 0 and 20; 20 is brighter
    assert "<b>Confidence</b>" in html
    with (tmp_path / "out" / "frames.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["confidence"] for row in rows] == ["1.25"] * 40

    with open_frames(ad) as source:
        report(source, tmp_path / "silent")
    assert "bits per look" not in (tmp_path / "silent" / "report.html").read_text()
    assert "confidence" not in (tmp_path / "silent" / "frames.csv").read_text().partition("\n")[0]
