"""Results that somebody edited, damaged or mixed up: refused in one line, or kept apart, never averaged in."""

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from saliency.errors import InputError
from saliency.evaluation import result as results
from saliency.evaluation.baselines import chance
from saliency.evaluation.dataset_run import evaluate_dataset
from saliency.evaluation.protocols import CANONICAL, DHF1K, MSU, VINET, Protocol, Shuffled
from saliency.evaluation.result import FLAGS, FrameRow, Result
from saliency.evaluation.video_run import evaluate
from saliency.report.tables import LeaderboardRow, average_runs, build_tables

pytestmark = pytest.mark.hostile("results")


def made(
    name: str = "net",
    *,
    videos: tuple[str, ...] = ("a", "b", "c"),
    frames: int = 4,
    protocol: Protocol = CANONICAL,
    **more,
) -> Result:
    """An honest result; `shift` moves all scores, `truth` is the checksum of the first frame's ground truth."""
    shift, truth, dataset = more.pop("shift", 0.0), more.pop("truth", 1000), more.pop("dataset", "toy test")
    rows = []
    for k, video in enumerate(videos):
        for i in range(frames):
            scores = {m: 0.3 + 0.01 * k + 0.02 * i + 0.001 * j + shift for j, m in enumerate(protocol.metrics)}
            flags = dict.fromkeys(FLAGS, 0) | {"outside_points": i}
            if (k, i) == (1, 2):
                scores, flags = dict.fromkeys(protocol.metrics, float("nan")), flags | {"bad_pred": 1}
            rows.append(FrameRow(video, i, scores, flags, truth + 17 * k + i))
    return Result(name=name, dataset=dataset, protocol=protocol, rows=rows, metadata={"seed": 0, "every": 1, **more})


def as_format_1(folder: Path) -> None:
    """What the first versions wrote: no checksum."""
    path = folder / "summary.json"
    stored = json.loads(path.read_text()) | {"format": 1}
    del stored["checksum"]
    path.write_text(json.dumps(stored, indent=2))


@pytest.fixture(params=["format 2", "format 1"])
def saved(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    made().save(tmp_path / "net")
    if request.param == "format 1":
        as_format_1(tmp_path / "net")
    return tmp_path / "net"


Lines = list[list[str]]


def cell(row: int, column: str, value: str) -> Callable[[Lines], Lines]:
    """Write `value` into a cell of frames.csv; rows count from 1."""

    def edit(lines: Lines) -> Lines:
        lines[row][lines[0].index(column)] = value
        return lines

    return edit


ROWS: dict[str, Callable[[Lines], Lines]] = {
    "score of 0.999": cell(3, "cc", "0.999"),
    "CC of 5": cell(3, "cc", "5"),
    "AUC of -0.1": cell(3, "auc_judd", "-0.1"),
    "SIM of 1.5": cell(3, "sim", "1.5"),
    "KL of -3": cell(3, "kld", "-3"),
    "infinite NSS": cell(3, "nss", "inf"),
    "NaN spelt out": cell(3, "nss", "nan"),
    "score left out": cell(3, "cc", ""),
    "word for a score": cell(3, "cc", "good"),
    "negative frame": cell(1, "frame", "-1"),
    "frame 1.5": cell(1, "frame", "1.5"),
    "other frame": cell(4, "frame", "9"),
    "other video": cell(4, "video", "z"),
    "no video": cell(4, "video", ""),
    "other truth": cell(2, "truth", "7"),
    "truth beyond a checksum": cell(2, "truth", str(2**40)),
    "flag of 2": cell(2, "no_fixations", "2"),
    "negative count": cell(2, "outside_points", "-5"),
    "bad prediction with scores": cell(2, "bad_pred", "1"),
    "row doubled": lambda lines: [*lines, lines[-1]],
    "row replaced by another's copy": lambda lines: [*lines[:-1], lines[-2]],
    "row missing": lambda lines: lines[:-1],
    "all rows missing": lambda lines: lines[:1],
    "no line at all": lambda lines: [],
    "short row": lambda lines: [*lines[:-1], lines[-1][:4]],
    "long row": lambda lines: [*lines[:-1], [*lines[-1], "1"]],
    "column twice": lambda lines: [[*line, line[2]] for line in lines],
    "column missing": lambda lines: [line[:-1] for line in lines],
    "scores of two frames swapped": lambda lines: [
        lines[0], lines[1][:2] + lines[2][2:], lines[2][:2] + lines[1][2:], *lines[3:],
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS)
def test_edited_rows_are_refused(saved, case):
    path = saved / "frames.csv"
    with path.open(newline="") as file:
        lines = ROWS[case](list(csv.reader(file)))
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    refused(saved)


NUMBER = b"1" * 5000  # more digits than Python reads

BYTES: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "zeros": lambda data: b"\0" * len(data),
    "not UTF-8": lambda data: data.replace(b"a,", b"\xff,").replace(b"toy", b"\xff"),
    "NUL inside": lambda data: data.replace(b"0.3", b"0.\x003", 1),
    "a field of 200,000 letters": lambda data: data.replace(b"a,0", b'"' + b"a" * 200_000 + b'",0', 1) + b" " * 8,
    "a number of 5,000 digits": lambda data: data.replace(b"1000", NUMBER).replace(b": 12,", b": " + NUMBER + b","),
    "a picture": lambda data: b"\x89PNG\r\n\x1a\n" + data[8:],
    "deeply nested": lambda data: b"[" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("name", ["frames.csv", "summary.json"])
@pytest.mark.parametrize("case", BYTES)
def test_damaged_files_are_refused(saved, name, case):
    path = saved / name
    before = path.read_bytes()
    path.write_bytes(BYTES[case](before))
    if path.read_bytes().rstrip() != before.rstrip():
        refused(saved)


def set_in(*keys: str, to: object) -> Callable[[dict], object]:
    """Write `to` at a path of summary.json; None removes the key."""

    def edit(stored: dict) -> object:
        *path, last = keys
        inner = stored
        for key in path:
            inner = inner[key]
        if to is None:
            del inner[last]
        else:
            inner[last] = to
        return stored

    return edit


SUMMARIES: dict[str, Callable[[dict], object]] = {
    "a list": lambda stored: [stored],
    "a number": lambda stored: 5,
    "no format": set_in("format", to=None),
    "format of the future": set_in("format", to=99),
    "format as a word": set_in("format", to="1"),
    "name is a number": set_in("name", to=5),
    "name of another": set_in("name", to="other"),
    "name is empty": set_in("name", to=""),
    "data set is a list": set_in("dataset", to=["toy"]),
    "mean of 0.999": set_in("summary", "cc", "mean", to=0.999),
    "frame mean of 0.999": set_in("summary", "cc", "frame_mean", to=0.999),
    "mean is NaN": set_in("summary", "cc", "mean", to=float("nan")),
    "count": set_in("summary", "cc", "n_valid", to=12),
    "metric without a summary": set_in("summary", "cc", to=None),
    "no summary": set_in("summary", to=None),
    "flags": set_in("flags", "bad_pred", to=0),
    "videos": set_in("videos", to=4),
    "frames": set_in("frames", to=11),
    "hash": set_in("data_hash", to="0123456789abcdef"),
    "direction": set_in("lower_is_better", to=[]),
    "metadata is a word": set_in("metadata", to="none"),
    "protocol is a word": set_in("protocol", to="canonical"),
    "protocol of another name": set_in("protocol", "name", to="dhf1k"),
    "protocol without a name": set_in("protocol", "name", to=""),
    "averaging weekly": set_in("protocol", "averaging", to="weekly"),
    "resize by magic": set_in("protocol", "resize", to="magic"),
    "undefined is guessed": set_in("protocol", "undefined", to="guess"),
    "constant is odd": set_in("protocol", "constant", to="odd"),
    "SIM by max": set_in("protocol", "sim_norm", to="max"),
    "blur of -1": set_in("protocol", "blur", to=-1.0),
    "blur is NaN": set_in("protocol", "blur", to=float("nan")),
    "blur is a word": set_in("protocol", "blur", to="much"),
    "even window": set_in("protocol", "blur_size", to=10),
    "letterbox of one number": set_in("protocol", "letterbox", to=[360]),
    "letterbox of zeros": set_in("protocol", "letterbox", to=[0, 0]),
    "eight bit is a word": set_in("protocol", "eight_bit", to="yes"),
    "metric twice": set_in("protocol", "metrics", to=["cc", *CANONICAL.metrics]),
    "no metric": set_in("protocol", "metrics", to=[]),
    "unknown metric": set_in("protocol", "metrics", to=[*CANONICAL.metrics, "luck"]),
    "metrics are a word": set_in("protocol", "metrics", to="cc"),
    "no frames at most": set_in("protocol", "max_frames", to=-1),
    "unknown scheme": set_in("protocol", "shuffled", "scheme", to="own"),
    "shuffled frames of -1": set_in("protocol", "shuffled", "frames", to=-1),
    "shuffled is a word": set_in("protocol", "shuffled", to="dhf1k"),
    "unknown key of the protocol": set_in("protocol", "luck", to=1),
    "key of the protocol missing": set_in("protocol", "blur", to=None),
    "metric left out": set_in("protocol", "metrics", to=list(CANONICAL.metrics[:-1])),
}


ONLY_A_CHECKSUM_SHOWS = ("name of another", "protocol of another name")


@pytest.mark.parametrize("case", SUMMARIES)
def test_edited_summaries_are_refused(saved, case):
    path = saved / "summary.json"
    stored = json.loads(path.read_text())
    earlier = stored["format"] == 1
    path.write_text(json.dumps(SUMMARIES[case](stored)))
    if earlier and case in ONLY_A_CHECKSUM_SHOWS:
        Result.load(saved)
    else:
        refused(saved)


def refused(folder: Path) -> None:
    """Loading says one line with the place and the remedy."""
    with pytest.raises(InputError) as caught:
        Result.load(folder)
    text = str(caught.value)
    assert "\n" not in text and str(folder) in text and "evaluate again" in text and len(text) < 600


@pytest.mark.parametrize(
    "protocol", [CANONICAL, DHF1K, VINET, MSU, CANONICAL.with_shuffled("video")], ids=lambda p: p.name
)
def test_honest_results_load_whatever_their_protocol(tmp_path, protocol):
    honest = made(protocol=protocol)
    honest.save(tmp_path / "net")
    for _ in range(2):
        loaded = Result.load(tmp_path / "net")
        assert loaded.means() == honest.means() and loaded.data_hash() == honest.data_hash()
        assert loaded.protocol == honest.protocol
        if json.loads((tmp_path / "net" / "summary.json").read_text())["format"] == 2:
            as_format_1(tmp_path / "net")


def test_a_mean_summed_up_in_another_order_is_honest(saved, monkeypatch):
    """Other processors add up in another order: the last digits of means may differ from those stored."""
    mean, before = Result._mean, made().means()
    monkeypatch.setattr(Result, "_mean", lambda self, values: mean(self, values) * (1 + 4e-16))
    loaded = Result.load(saved)
    assert loaded.means() != before and loaded.means() == pytest.approx(before)


def row(result: Result, **more) -> LeaderboardRow:
    return LeaderboardRow.from_result(result, **more)


STRANGERS: dict[str, tuple[Result, str]] = {
    "other ground truth": (made("other", shift=0.1, truth=2000), "ground truth"),
    "other frames": (made("other", shift=0.1, frames=3), "frames"),
    "other videos": (made("other", shift=0.1, videos=("a", "b", "d")), "frames"),
    "other protocol": (made("other", shift=0.1, protocol=DHF1K), r"protocols \(canonical, dhf1k\)"),
    "other protocol of one name": (
        made("other", shift=0.1, protocol=dataclasses.replace(CANONICAL, blur=2.0)),
        "protocols of the name canonical",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STRANGERS)
def test_what_cannot_be_compared_is_not_ranked(case):
    stranger, reason = STRANGERS[case]
    with pytest.raises(InputError, match=reason):
        build_tables([row(made()), row(stranger)])


@pytest.mark.parametrize("case", STRANGERS)
def test_what_cannot_be_compared_is_not_averaged(case):
    stranger = dataclasses.replace(STRANGERS[case][0], name="net")
    rows = average_runs([row(made()), row(stranger)])
    assert [each.runs for each in rows] == [1, 1]
    with pytest.raises(InputError, match=STRANGERS[case][1]):
        build_tables([row(made()), row(stranger)])


def test_runs_of_one_kind_are_averaged():
    rows = average_runs([row(made(shift=s)) for s in (0.0, 0.1, 0.2)])
    assert [each.runs for each in rows] == [3]
    assert rows[0].spread["cc"] == pytest.approx(0.1)


def test_a_copy_is_no_second_run():
    """The same scores twice, as of a folder that was copied: no spread of 0 comes out of it."""
    rows = average_runs([row(made()), row(made())])
    assert [each.runs for each in rows] == [1] and not rows[0].spread


def test_ceilings_have_a_ground_truth_of_their_own():
    """They stand beside the others, unranked, as long as the frames are the same."""
    ceiling = made("observers", truth=5000, own_truth=True)
    (table,) = build_tables([row(made()), row(made("other", shift=0.1)), row(ceiling)])
    assert [line.cells["cc"].rank for line in table.lines] == [2, 1, 0]
    with pytest.raises(InputError, match="frames"):
        build_tables([row(made()), row(made("observers", frames=2, own_truth=True))])


def test_another_data_set_gets_a_table_of_its_own():
    tables = build_tables([row(made()), row(made(dataset="toy real", truth=5))])
    assert [table.dataset for table in tables] == ["toy test", "toy real"]


@pytest.mark.parametrize(
    "change", [{"averaging": "weekly"}, {"blur": float("inf")}, {"metrics": ("cc", "cc"), "shuffled": None}]
)
def test_a_nonsense_protocol_cannot_be_made(change):
    with pytest.raises(InputError, match="protocol"):
        dataclasses.replace(CANONICAL, **change)


def test_a_nonsense_draw_of_negatives_cannot_be_made():
    with pytest.raises(InputError, match="scheme"):
        Shuffled(scheme="own")  # pyright: ignore[reportArgumentType]


def test_every_metric_has_the_range_of_its_formula():
    """By hand: CC is a correlation, AUCs are probabilities, SIM is an overlap of densities, KL(g || p) <= -ln(eps)."""
    ranges = {name: results.METRICS[name].range for name in ("cc", "auc_judd", "auc_shuffled", "sim")}
    assert ranges == {"cc": (-1, 1), "auc_judd": (0, 1), "auc_shuffled": (0, 1), "sim": (0, 1)}
    low, high = results.METRICS["kld"].range
    assert low == 0 and 36.04 < high < 36.05


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda lines: [*lines, lines[-1]], id="doubled"),
        pytest.param(lambda lines: lines[:-1], id="shorter"),
        pytest.param(lambda lines: [lines[0], *lines[:0:-1]], id="another order"),
        pytest.param(cell(1, "video", "002"), id="another video"),
        pytest.param(cell(1, "cc", "1.5"), id="CC of 1.5"),
        pytest.param(lambda lines: lines[:1], id="empty"),
    ],
)
def test_an_edited_part_of_a_stopped_evaluation_is_refused(gaze_video, tmp_path, edit):
    videos = [gaze_video("001"), gaze_video("002")]
    evaluate_dataset([chance()], videos, tmp_path)
    part = tmp_path / "chance" / "parts" / "001.csv"
    with part.open(newline="") as file:
        lines = edit(list(csv.reader(file)))
    with part.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    summary = (tmp_path / "chance" / "summary.json").read_bytes()
    with pytest.raises(InputError, match=r"parts/001\.csv.*evaluate again"):
        evaluate_dataset([chance()], videos, tmp_path)
    assert (tmp_path / "chance" / "summary.json").read_bytes() == summary
    part.unlink()
    (again,) = evaluate_dataset([chance()], videos, tmp_path) or []
    assert again.rows == evaluate_dataset([chance()], videos, tmp_path / "fresh")[0].rows  # type: ignore[index]


def test_videos_whose_names_differ_in_a_blank_do_not_share_their_scores(gaze_video, tmp_path):
    names = ["a b", "a_b", "a/b", "n" * 300, "n" * 299, "é" * 200]
    videos = [dataclasses.replace(gaze_video(f"{i + 1:03d}", frames=2 + i), id=name) for i, name in enumerate(names)]
    (result,) = evaluate_dataset([chance()], videos, tmp_path) or []
    assert {name: sum(row.video == name for row in result.rows) for name in names} == {
        name: 2 + i for i, name in enumerate(names)
    }
    assert {row.truth for row in result.rows} == {row.truth for row in evaluate(chance(), videos).rows}


@pytest.mark.parametrize("name", ["..", ".", "", "/", "../x", "x" * 300, "a/../../b", "\0"])
def test_no_name_of_a_predictor_leads_out_of_the_folder(gaze_video, tmp_path, name):
    out = tmp_path / "outer" / "out"
    evaluate_dataset([dataclasses.replace(chance(), name=name)], [gaze_video("001")], out)
    homes = [path for path in (tmp_path / "outer").rglob("summary.json")]
    assert [path.parent.parent for path in homes] == [out]
