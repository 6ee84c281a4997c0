"""How far maps can be trusted: which frames are looked at, what is said of them."""

import numpy as np
import pytest

from saliency.attention.doubt import DoubtMeter
from saliency.attention.film import FilmMeter


class DarkIsStrange:
    """Trusts a map by its highest value; a frame is the stranger the darker it is."""

    def __init__(self) -> None:
        self.looked = 0

    def confidence(self, density):
        return float(density.max())

    def strangeness(self, frames):
        self.looked += len(frames)
        return 2 - frames.mean(axis=(1, 2, 3)) / 100


def test_every_map_and_a_frame_every_two_seconds() -> None:
    judge = DarkIsStrange()
    meter = DoubtMeter(judge, fps=5)
    for i in range(25):
        meter.add(np.full((4, 6, 3), 10 * i, np.uint8), np.full((2, 3), 0.1 * i))
    doubt = meter.finish()
    assert doubt.confidence == pytest.approx(0.1 * np.arange(25))
    assert dict(doubt.strangeness) == {0: 2.0, 10: 1.0, 20: 0.0} and judge.looked == 3
    assert doubt.strange == 1  # 1.0 is still usual
    assert doubt.note() == (
        "1 of 3 frames that were looked at are unlike all photographs that the model learned from; expect less of its "
        "maps there"
    )


def test_one_picture_and_nothing_strange() -> None:
    for level, said in ((0, True), (200, False)):
        meter = DoubtMeter(DarkIsStrange(), fps=30)
        meter.add(np.full((4, 6, 3), level, np.uint8), np.ones((2, 3)))
        note = meter.finish().note()
        assert (note is not None) == said
        assert note is None or note.startswith("This picture is unlike")


def test_a_film_has_doubts_only_if_the_model_can_say() -> None:
    for judge, known in ((None, False), (DarkIsStrange(), True)):
        meter = FilmMeter((4, 6), 10.0, (), judge)
        meter.add(np.zeros((4, 6, 3), np.uint8), np.ones((2, 3)))
        assert (meter.finish().doubt is not None) == known
