import logging

import pytest

from saliency.data.quarantine import ATTEMPTS, Quarantine, indices, read_or_replace
from saliency.errors import InputError


def reader(bad):
    def read(i):
        if i in bad:
            raise InputError(f"image {i} is damaged")
        return 10 * i

    return read


def called(index, error):
    return str(index)


def test_a_replacement_is_a_function_of_the_key():
    read = reader({3, 4})
    assert read_or_replace(indices((0, 0, 5), 8), read, called) == (5, 50, ())
    found = [read_or_replace(indices((0, epoch, 3), 8), read, called) for epoch in range(50)]
    assert found == [read_or_replace(indices((0, epoch, 3), 8), read, called) for epoch in range(50)]
    assert {index for index, _, _ in found} == {0, 1, 2, 5, 6, 7}
    assert all(value == 10 * index for index, value, _ in found)
    assert all(problems[0] == ("3", "image 3 is damaged") for _, _, problems in found)


def test_a_file_that_vanished_is_replaced_too():
    def read(i):
        if i == 0:
            raise FileNotFoundError("0.png")
        return i

    index, _, problems = read_or_replace(indices((0, 0, 0), 4), read, called)
    assert index != 0 and problems[0] == ("0", "0.png")


def test_when_nothing_can_be_read():
    with pytest.raises(InputError, match=rf"{ATTEMPTS} samples in a row cannot be used, the last: image \d is damaged"):
        read_or_replace(indices((0, 0, 0), 4), reader(range(4)), called)


@pytest.mark.parametrize(("size", "limit", "allowed"), [(5, None, 1), (300, None, 3), (300, 0, 0)])
def test_each_is_told_once_and_too_many_are_fatal(size, limit, allowed, caplog):
    quarantine = Quarantine("images", size, limit)
    with caplog.at_level(logging.WARNING):
        for i in range(allowed):
            for _ in range(3):
                quarantine.add([(str(i), "damaged")])
    assert len(caplog.records) == allowed
    with pytest.raises(InputError, match=f"{allowed + 1} images cannot be used, more than the limit of {allowed}, the"):
        quarantine.add([("another", "damaged")])
