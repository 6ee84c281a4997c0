import numpy as np
import pytest
import torch

from saliency.errors import InputError
from saliency.evaluation.baselines import centre_prior
from saliency.evaluation.others_prior import OthersPrior


def test_each_video_gets_the_prior_of_the_others(gaze_video):
    videos = [gaze_video(name) for name in ("001", "002", "003")]
    source = OthersPrior(videos=videos, every=2)
    for k, video in enumerate(videos):
        ((frame, map),) = source.maps(video, [4])
        others = centre_prior([v for v in videos if v is not video], every=2).map
        assert frame == 4
        torch.testing.assert_close(map, others)
        assert k == 0 or not torch.equal(map, next(iter(source.maps(videos[0], [0])))[1])


def test_one_video_alone_gets_the_middle(gaze_video):
    source = OthersPrior(videos=[gaze_video("001")])
    ((_, map),) = source.maps(source.videos[0], [0])
    row, column = np.unravel_index(int(map.argmax()), map.shape)
    assert abs(row - map.shape[0] / 2) <= 1 and abs(column - map.shape[1] / 2) <= 1
    assert source.metadata["fitted"] == "a quarter of the picture wide"


def test_others_that_nobody_looked_at_are_no_prior(gaze_video):
    blank = tuple(range(6))
    videos = [gaze_video("001"), gaze_video("002", blank=blank)]
    with pytest.raises(InputError, match="no video besides 001 has a fixation"):
        list(OthersPrior(videos=videos).maps(videos[0], [0]))
