"""`saliency compare`: two films in, one folder out; what is wrong is one line and writes nothing."""

import pytest

from saliency.commands.main import main
from saliency.io.stamped import Recipe, write_stamped


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for name, count in (("a", 6), ("b", 4)):
        recipe = Recipe(codec="libx264", suffix=".mp4", options={"preset": "ultrafast"}, size=(48, 80))
        write_stamped(folder / f"{name}.mp4", recipe, count)
    return [str(folder / "a.mp4"), str(folder / "b.mp4")]


@pytest.fixture
def compare(tmp_path, capsys):
    def call(*words):
        with pytest.raises(SystemExit) as done:
            main(["compare", *words, "--out", str(tmp_path / "out"), "--device", "cpu", "--backend", "torch"])
        said = capsys.readouterr()
        return done.value.code, said.out, said.err

    return call


def test_two_films(compare, clips, tmp_path):
    status, out, err = compare(*clips, "--roi", "logo=0,0,40,48", "--weights", "mini_vinet_a")
    assert (status, err) == (0, "")
    assert "logo: A " in out and out.splitlines()[-1] == f"comparison: {tmp_path / 'out' / 'compare.html'}"
    assert "A demonstration: " in (tmp_path / "out" / "compare.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "error: name two films: saliency compare a.mp4 b.mp4"),
        (["A"], "error: name two films"),
        (["A", "nowhere.mp4"], "nowhere.mp4"),
        (["A", "B", "--roi", "logo=1,2,3"], "error: --roi logo=1,2,3: a region is written"),
        (["A", "B", "--ensemble"], "error: --ensemble averages several models"),
        (["A", "B", "--crop", "9:16"], "it belongs to 'saliency report'"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(compare, clips, tmp_path, words, message):
    status, _, err = compare(*(dict(zip("AB", clips, strict=True)).get(word, word) for word in words))
    assert status == 2 and message in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists()
