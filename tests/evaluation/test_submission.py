import numpy as np
import pytest
import torch
from PIL import Image

from saliency.errors import InputError
from saliency.evaluation.baselines import FixedMap, MapFolder
from saliency.evaluation.submission import check_submission, dhf1k_test_frames, write_submission

EXPECTED = {"0701": 3, "0702": 2}
SIZE = (36, 64)


@pytest.fixture
def method(gaze_video, tmp_path):
    videos = [gaze_video("701", frames=3), gaze_video("702", frames=2)]
    predictor = FixedMap(name="ramp", map=torch.linspace(-1, 3, 9 * 16).view(9, 16))
    return write_submission(predictor, videos, tmp_path / "out")


def test_one_grey_png_a_frame(method, gaze_video):
    assert method.name == "ramp"
    assert check_submission(method, EXPECTED, SIZE) == 5
    with Image.open(method / "0702" / "0002.png") as image:
        values = np.asarray(image)
    assert values.dtype == np.uint8 and values.shape == SIZE
    assert (values.min(), values.max()) == (0, 255)
    got = dict(MapFolder(name="x", root=method).maps(gaze_video("0702", frames=2), [1]))
    assert np.array_equal(got[1].numpy(), values)


def test_a_killed_export_goes_on(gaze_video, tmp_path):
    class Breaks:
        name = "m"

        def __init__(self, breaks: bool) -> None:
            self.breaks = breaks
            self.asked: list[int] = []

        def maps(self, video, frames):
            for frame in frames:
                if self.breaks and (video.id, frame) == ("702", 1):
                    raise KeyboardInterrupt
                self.asked.append(int(video.id))
                yield frame, torch.rand(9, 16)

    videos = [gaze_video("701", frames=3), gaze_video("702", frames=2)]
    with pytest.raises(KeyboardInterrupt):
        write_submission(Breaks(True), videos, tmp_path)
    done, again = [], Breaks(False)
    write_submission(again, videos, tmp_path, progress=lambda *counts: done.append(counts))
    assert again.asked == [702, 702]
    assert done[0] == (3, 5) and done[-1] == (5, 5)
    assert check_submission(tmp_path / "m", EXPECTED, SIZE) == 5


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda m: (m / "0701" / "0002.png").unlink(), "0002.png is missing; write"),
        (lambda m: [path.unlink() for path in (m / "0702").iterdir()], r"0001.png is missing \(and 1 more\)"),
        (lambda m: (m / "0701" / "0004.png").write_bytes(b""), "0004.png does not belong there"),
        (lambda m: (m / "0703").mkdir(), "0703 does not belong there"),
        (lambda m: (m / "0701" / "0001.png").write_bytes(b"x"), "0001.png cannot be read"),
        (lambda m: Image.new("RGB", (64, 36)).save(m / "0701" / "0001.png"), "has mode RGB, expected 8-bit grey"),
        (lambda m: Image.new("L", (36, 64)).save(m / "0701" / "0001.png"), "is 64x36 .*, expected 36x64"),
    ],
)
def test_what_is_wrong_is_named(method, damage, message):
    damage(method)
    with pytest.raises(InputError, match=message) as error:
        check_submission(method, EXPECTED, SIZE)
    assert "\n" not in str(error.value)


def test_the_real_submission_has_300_videos(method):
    frames = dhf1k_test_frames()
    assert len(frames) == 300 and sum(frames.values()) == 176_192
    assert (min(frames), max(frames)) == ("0701", "1000")
    with pytest.raises(InputError, match=r"0701/0004.png is missing"):
        check_submission(method)


def test_only_numbered_finite_videos(gaze_video, tmp_path):
    video = gaze_video("701", frames=1)
    with pytest.raises(InputError, match="NaN or infinite"):
        write_submission(FixedMap(name="nan", map=torch.full((9, 16), float("nan"))), [video], tmp_path)

    class Named:
        id, num_frames = "clip_1", 1

    with pytest.raises(InputError, match="none of DHF1K's"):
        write_submission(FixedMap(name="x", map=torch.ones(9, 16)), [Named()], tmp_path)  # type: ignore[list-item]
