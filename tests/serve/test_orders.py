"""What may be ordered, and what is refused."""

import pytest

from saliency.errors import InputError
from saliency.serve.orders import parse_order
from saliency.serve.uploads import safe_name


def test_an_order_becomes_the_words_of_a_report():
    order = parse_order(
        {
            "regions": {"logo": [1620, 60.5, 240, 90], "sign": [[0, 0], [9, 0], [9, 1e-7]]},
            "crop": "9:16",
            "thumbnails": 2,
            "maps": "npz",
        },
        ["a"],
    )
    wishes = order.wishes()
    assert wishes.regions == ["logo=1620,60.5,240,90", "sign=0,0:9,0:9,1e-07"]
    assert (wishes.crop, wishes.thumbnails, wishes.maps) == ("9:16", 2, "npz")
    empty = parse_order({}, ["a"]).wishes()
    assert (empty.regions, empty.crop, empty.thumbnails, empty.maps) == ([], None, 0, None)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "an order is a JSON object"),
        ({"region": {}}, "an order has no 'region'; did you mean 'regions'"),
        ({"model": "b"}, "this server has no model 'b'; it has a"),
        ({"model": 3}, "model must be a text"),
        ({"maps": "png"}, "maps must be mp4 or npz, got 'png'"),
        ({"thumbnails": True}, "thumbnails must be a whole number from 0 to 10"),
        ({"thumbnails": 11}, "thumbnails must be a whole number from 0 to 10"),
        ({"regions": [1]}, "regions must be a JSON object of at most 20 names"),
        ({"regions": {str(i): [0, 0, 1, 1] for i in range(21)}}, "regions must be a JSON object of at most 20 names"),
        ({"regions": {"a=b": [0, 0, 1, 1]}}, "region a=b: its name must not hold '='"),
        ({"regions": {"a": [0, 0, 1]}}, r"region a: must be \[left"),
        ({"regions": {"a": [0, 0, 1, float("nan")]}}, r"region a: must be \[left"),
        ({"regions": {"a": [[0, 0], [1, 1]]}}, r"region a: must be \[left"),
        ({"regions": {"a": "faces.csv"}}, r"region a: must be \[left"),
    ],
)
def test_what_is_refused(given, words):
    with pytest.raises(InputError, match=words):
        parse_order(given, ["a"])


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("ad.mp4", "ad.mp4"),
        ("Été à la mer (1).MOV", "Été à la mer (1).MOV"),
        ("../../etc/passwd", "passwd"),
        ("C:\\films\\a.mp4", "a.mp4"),
        ("", "video"),
        ("..", "video"),
        ("a\x00b\n<c>.mp4", "a_b__c_.mp4"),
        ("x" * 300 + ".mp4", "x" * 60 + ".mp4"),
    ],
)
def test_names_of_files(name, safe):
    assert safe_name(name) == safe
