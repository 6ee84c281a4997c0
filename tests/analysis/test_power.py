"""Sizes of studies against published tables, a hand-worked analysis of variance, and studies drawn at random."""

import json

import numpy as np
import pytest

from saliency.analysis.pilot import read_pilots
from saliency.analysis.power import Spread, Wish, pairs_for, spread_of, t_power
from saliency.analysis.power_text import plan_text
from saliency.commands.main import main
from saliency.errors import InputError
from saliency.evaluation.protocols import CANONICAL
from saliency.evaluation.result import FLAGS, FrameRow, Result
from saliency.io.stamped import Recipe, write_stamped


@pytest.mark.parametrize(("effect", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_pairs_are_those_of_the_tables(effect, pairs):
    """Two-sided paired t test, level 0.05, power 0.8: what G*Power gives for small, medium and large effects."""
    assert pairs_for(2.0, Wish(difference=-2 * effect)) == pairs


def test_without_a_difference_the_power_is_the_level():
    assert t_power(0.0, 7, 0.05) == pytest.approx(0.05)
    assert t_power(40.0, 7, 0.05) == pytest.approx(1.0)


def test_variances_by_hand():
    """Viewers 0 and 1 on videos 0 and 1: means 2 and 4 of the videos, 1 and 5 of the viewers, left over ±1."""
    spread = spread_of(np.array([[1.0, 1.0], [3.0, 7.0]]))
    assert (spread.mean, spread.rest, spread.crossed) == (3.0, 4.0, True)  # 4 * 1 / (1 * 1)
    assert spread.video == 0.0  # 2 - 4 / 2
    assert spread.viewer == 6.0  # 8 - 4 / 2

    # each video its own two viewers: within 2 and 2, between 2 * ((2 - 4)^2 + (6 - 4)^2) / 1 = 16, (16 - 2) / 2
    own = spread_of(np.array([[1, np.nan], [3, np.nan], [np.nan, 5], [np.nan, 7]]))
    assert (own.mean, own.rest, own.video, own.viewer, own.crossed) == (4.0, 2.0, 7.0, 0.0, False)


def test_one_level_is_the_paired_test():
    """Viewers who all say the same add nothing: the videos are the pairs."""
    wish = Wish(difference=0.5)
    nested = Spread(mean=0.0, video=1.0, viewer=0.0, rest=0.0, crossed=False)
    assert nested.videos_for(wish, 2) == nested.videos_for(wish, 40) == 34
    noise = Spread(mean=0.0, video=0.0, viewer=0.0, rest=4.0, crossed=False)
    assert noise.videos_for(wish, 4) == 34, "four viewers a video make a standard deviation of 2 one of 1"


def test_viewers_who_differ_set_a_limit():
    spread = Spread(mean=0.0, video=0.1, viewer=1.0, rest=0.5, crossed=True)
    assert spread.videos_for(Wish(difference=0.5), 5) is None, "five viewers never suffice, whatever the videos"
    few, many = (spread.videos_for(Wish(difference=0.5), viewers) for viewers in (40, 80))
    assert few is not None and many is not None and many < few


def test_the_chance_is_how_often_drawn_studies_find_it():
    spread, wish = Spread(mean=0.0, video=0.3, viewer=0.2, rest=1.0, crossed=True), Wish(difference=0.5)
    videos, viewers, studies = 12, 10, 4000
    random = np.random.default_rng(0)
    x = 0.5 + random.normal(0, 1.0, (studies, viewers, videos))
    x += random.normal(0, 0.3**0.5, (studies, 1, videos)) + random.normal(0, 0.2**0.5, (studies, viewers, 1))
    # the standard error is known here: the share beyond its normal limit, a little above the t test's
    error = (0.3 / videos + 0.2 / viewers + 1.0 / (videos * viewers)) ** 0.5
    found = (np.abs(x.mean((1, 2))) > 1.96 * error).mean()
    assert spread.chance(wish, videos, viewers) == pytest.approx(found, abs=0.06)
    assert spread.chance(wish, videos, viewers) < found


def test_a_table_and_a_study(tmp_path, capsys):
    table = tmp_path / "pilot.csv"
    table.write_text("viewer,video,difference\na,x,1\na,y,1\nb,x,3\nb,y,7\n")
    (pilot,) = read_pilots([table])
    assert pilot.table.tolist() == [[1, 1], [3, 7]]
    study = tmp_path / "study.json"
    effect = {"seeds": [0.5, 1.5]}
    study.write_text(json.dumps({"metric": "nss", "against_control": {"a - control": effect}, "contrasts": {}}))
    (seeds,) = read_pilots([study])
    assert (seeds.about, seeds.unit, seeds.table.tolist()) == ("a - control, nss", "seed", [[0.5, 1.5]])
    with pytest.raises(SystemExit) as done:
        main(["analyze", "power", str(table), "--difference", "4", "8", "--viewers", "10", "20"])
    said = capsys.readouterr().out
    assert done.value.code == 0 and "between viewers 2.449" in said and "viewers a video" in said


def result(folder, name, scores, truth=0):
    """Write a result with one frame a video and these CC."""
    rows = [
        FrameRow(f"v{i}", 0, dict.fromkeys(CANONICAL.metrics, 0.5) | {"cc": cc}, dict.fromkeys(FLAGS, 0), truth)
        for i, cc in enumerate(scores)
    ]
    Result(name=name, dataset="toy", protocol=CANONICAL, rows=rows).save(folder)
    return folder


def test_two_results(tmp_path):
    a, b = result(tmp_path / "a", "A", [0.5, 0.7, 0.6]), result(tmp_path / "b", "B", [0.4, 0.4, 0.6])
    pilots = {pilot.about: pilot for pilot in read_pilots([a, b])}
    assert pilots["A - B, cc"].table == pytest.approx(np.array([[0.1, 0.3, 0.0]]))
    assert pilots["A - B, cc"].unit == "video" and not pilots["A - B, cc"].has_viewers
    assert "Videos needed" in plan_text(list(pilots.values()), [Wish(difference=0.1)], [10])
    with pytest.raises(InputError, match="scored other frames, or by other rules"):
        read_pilots([a, result(tmp_path / "c", "C", [0.5, 0.7, 0.6], truth=1)])
    with pytest.raises(InputError, match="is one result; name a second one"):
        read_pilots([a])


def test_a_folder_with_gaze(tmp_path):
    """Two viewers look at one place, far from where all look in the other video: others tell more than the centre."""
    (tmp_path / "videos").mkdir()
    (tmp_path / "gaze").mkdir()
    recipe = Recipe(codec="libx264", suffix=".mp4", options={"preset": "ultrafast"}, size=(48, 80))
    for name, x in (("left", 10), ("right", 70)):
        write_stamped(tmp_path / "videos" / f"{name}.mp4", recipe, 4)
        rows = [f"{who},{i},{x + i + shift},{24 + i}" for who, shift in (("a", 0), ("b", 1)) for i in range(4)]
        (tmp_path / "gaze" / f"{name}.csv").write_text("\n".join(["observer,frame,x,y", *rows]) + "\n")
    (pilot,) = read_pilots([tmp_path])
    assert pilot.table.shape == (2, 2) and (pilot.table > 1).all()


def test_what_is_no_pilot_is_said(tmp_path):
    table = tmp_path / "pilot.csv"
    table.write_text("viewer,video,difference\na,x,1\na,y,much\n")
    with pytest.raises(InputError, match=r"pilot.csv, row 2: the difference is 'much'"):
        read_pilots([table])
    table.write_text("viewer,video,difference\na,x,1\na,x,2\n")
    with pytest.raises(InputError, match="row 2: a second difference of viewer a on video x"):
        read_pilots([table])
    table.write_text("viewer,film\n")
    with pytest.raises(InputError, match="needs the columns viewer, video, difference"):
        read_pilots([table])
    with pytest.raises(InputError, match="no such file"):
        read_pilots([tmp_path / "nothing"])
    with pytest.raises(InputError, match="holds no gaze/"):
        read_pilots([tmp_path])
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(InputError, match=r"is no study.json"):
        read_pilots([tmp_path / "study.json"])
    with pytest.raises(InputError, match="at least 2 of each"):
        spread_of(np.array([[1.0], [2.0]]))
    with pytest.raises(InputError, match="--difference must be a number other than 0"):
        Wish(difference=0)
    with pytest.raises(InputError, match=r"--power must be above --alpha"):
        Wish(difference=1, power=0.04)
