"""The statistics of the study on data whose answer is known, and the whole study on photographs made here."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from saliency.config.load import load_run, variants
from saliency.data.few_labels import FewLabels, FewLabelSamples
from saliency.datasets.stills import Stills
from saliency.errors import InputError
from saliency.io.serial import decode, encode
from saliency.report.statistics import bootstrap_nested
from saliency.report.study import METRICS, compare, study_text
from saliency.training.seeds import train_seeds
from saliency.types import InputSpec


def scores(effects: list[float], images: int = 6, noise: float = 0.0) -> np.ndarray:
    """(S, V, M) with these mean effects per seed."""
    values = np.zeros((len(effects), images, len(METRICS)))
    values += np.array(effects)[:, None, None]
    return values + noise * np.resize([1, -1], images)[None, :, None]


def test_ten_seeds_of_one_sign_have_the_smallest_p_there_is():
    data = {"control": scores([0.0] * 10), "up": scores([0.1, 0.2] * 5), "mixed": scores([0.1, -0.1] * 5)}
    effects = compare(data, [("up", "control"), ("mixed", "control")], "nss")
    up, mixed = effects.values()
    assert up.mean == pytest.approx(0.15) and up.p == 2 / 2**10
    assert up.holm == pytest.approx(2 * 2 / 2**10), "Holm: twice the smallest of two"
    assert (mixed.mean, mixed.p, mixed.holm) == (pytest.approx(0.0), 1.0, 1.0)
    assert up.seeds == pytest.approx((0.1, 0.2) * 5)


def test_five_seeds_can_never_pass():
    five = compare({"a": scores([0.3] * 5), "control": scores([0.0] * 5)}, [("a", "control")], "nss")
    assert five["a - control"].p == 2 / 2**5 > 0.05


def test_intervals_see_seeds_and_images():
    same = bootstrap_nested(np.full((4, 5), 0.2))
    assert same is not None and (same.low, same.high) == pytest.approx((0.2, 0.2))
    by_seed = bootstrap_nested(np.array([[0.0] * 5, [1.0] * 5]))
    assert by_seed is not None and (by_seed.low, by_seed.high) == (0.0, 1.0)  # both seeds the same: 1/4 each
    by_image = bootstrap_nested(np.array([[0.0, 1.0]] * 3))
    assert by_image is not None and (by_image.low, by_image.high) == (0.0, 1.0)
    assert bootstrap_nested(np.zeros((1, 5))) is None
    rng = np.random.default_rng(0)
    wide = bootstrap_nested(rng.normal(size=(40, 1)) @ np.ones((1, 50)))
    assert wide is not None and wide.high - wide.low == pytest.approx(2 * 1.96 / 40**0.5, rel=0.25)


def test_every_variant_of_the_study_is_a_config():
    for variant in variants("teaching"):
        run = load_run(f"teaching:{variant}")
        assert decode(encode(run)) == run and run.name == f"teaching_{variant}"
        arms = [stage for stage in run.stages if stage.start]
        assert {(s.start, s.epochs, s.lr) for s in arms} == {("before", 10, 1e-3)} and arms[0].name == "control"
        assert len(arms) == {"screening": 14, "label_free": 6, "unlabelled": 6}.get(variant, 10)


@pytest.fixture
def stills(tmp_path):
    """Twenty grey photographs, six viewers: viewer v of photograph i looks at pixel (4 v + 2, i)."""
    root = tmp_path / "own"
    (root / "images").mkdir(parents=True)
    names = [f"{i:02d}.png" for i in range(20)]
    for i, name in enumerate(names):
        pixels = np.random.default_rng(i).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / name)
    image, viewer = (grid.ravel() for grid in np.meshgrid(np.arange(20), np.arange(6), indexing="ij"))
    np.savez(
        root / "fixations.npz", images=np.array(names), image=image, viewer=viewer, order=np.zeros_like(image),
        x=np.float32(4 * viewer + 2), y=np.float32(image), duration_ms=np.ones(len(image), np.float32),
    )  # fmt: skip
    lines = [f"{name},32,24" for name in names]
    (root / "images.csv").write_text("\n".join(["image,width,height", *lines]))
    lines = [f"{name},{'train' if i < 14 else 'val'}" for i, name in enumerate(names)]
    (root / "split.csv").write_text("\n".join(["image,split", *lines]))
    return Stills(name="own", root=root, sigma=0.1)


VIEWS = {"narrow": InputSpec(length=1, size=(48, 64)), "wide": InputSpec(length=1, size=(48, 64))}


def columns_looked_at(samples: FewLabelSamples) -> list[set[int]]:
    """The viewers whose fixations are on each photograph: their column in the map is 2 x their pixel."""
    return [{(x - 5) // 8 for x in np.flatnonzero(each.fixations.any(0).numpy())} for each in samples.photographs]


def test_viewers_teach_or_choose_and_never_both(stills):
    data = FewLabels(source=stills, share=0.5, seed=3)
    training, stopping = data.training(VIEWS), data.validation(VIEWS)
    ids = [each.id for each in (*training.photographs, *stopping.photographs)]
    assert (len(training), len(stopping), len(set(ids))) == (6, 1, 7)  # half of 14, a fifth of it set apart
    (teach,) = {frozenset(viewers) for viewers in columns_looked_at(training)}
    assert len(teach) == 3
    for each in training.photographs:
        assert abs(each.density.sum() - each.other.sum()) < each.density.sum() and not each.density.equal(each.other)
    one = FewLabels(source=stills, viewers=1, seed=3).training(VIEWS)
    assert all(len(viewers) == 1 and viewers <= teach for viewers in columns_looked_at(one))
    assert len(data.scoring(VIEWS)) == 6
    assert all(viewers == set(range(6)) for viewers in columns_looked_at(data.scoring(VIEWS)))


def test_halves_for_complementary_first_stages(stills):
    data = FewLabels(source=stills, parts={"narrow": 0, "wide": 1})
    whole = [each.id for each in data.training(VIEWS).photographs]
    parts = [[each.id for each in data.own(name).training(VIEWS).photographs] for name in ("narrow", "wide")]
    assert sorted(parts[0] + parts[1]) == sorted(whole) and abs(len(parts[0]) - len(parts[1])) <= 1
    assert data.own("narrow").validation(VIEWS).fingerprint() == data.validation(VIEWS).fingerprint()


def test_the_study_runs_from_one_command_and_compares_its_seeds(stills, tmp_path):
    run = load_run("teaching:one_30")
    run = replace(
        run,
        data=replace(run.data, source=stills, share=1.0),
        stages=tuple(
            replace(stage, epochs=1) for stage in run.stages if stage.name in ("before", "control", "bi_kd", "others")
        ),
        train=replace(run.train, batch_size=4, validate_every=1),
    )
    with pytest.raises(InputError, match="holds no scores"):
        run.report.combine(run, [tmp_path], tmp_path)
    train_seeds(run, tmp_path / "study", seeds=2)
    content = json.loads((tmp_path / "study/study.json").read_text())
    assert (content["seeds"], content["images"]) == (2, 6)
    assert list(content["against_control"]) == [
        f"{arm} - control" for arm in ("before", "control/early", "bi_kd", "others")
    ]
    effect = content["against_control"]["bi_kd - control"]
    seeds = [np.load(tmp_path / f"study/seed-{seed}/scores.npz") for seed in (0, 1)]
    by_hand = [
        np.mean([seed[f"bi_kd/{n}/last"][:, 0] - seed[f"control/{n}/last"][:, 0] for n in ("narrow", "wide")])
        for seed in seeds
    ]
    assert effect["seeds"] == pytest.approx(by_hand) and effect["mean"] == pytest.approx(np.mean(by_hand))
    assert content["mass"]["bi_kd"] > 0 and effect["p"] is not None
    assert "| others - bi_kd |" in study_text(content)
