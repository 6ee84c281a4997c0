"""Matrices of Matlab files: the same as scipy reads."""

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from scipy.sparse import coo_array, csc_matrix

from saliency.errors import InputError
from saliency.io.matlab import read_matrix

DTYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "?")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (2, 1), (36, 64), (0, 4)])
def test_dense_matrices(tmp_path, shape, compressed):
    rng = np.random.default_rng(0)
    for dtype in DTYPES:
        values = (rng.random(shape) * 3).astype(dtype)
        savemat(tmp_path / "a.mat", {"before": np.eye(2), "I": values, "behind": "text"}, do_compression=compressed)
        read = read_matrix(tmp_path / "a.mat", "I")
        np.testing.assert_array_equal(read, loadmat(tmp_path / "a.mat")["I"])
        np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize("compressed", [False, True])
def test_sparse_matrices(tmp_path, compressed):
    dense = np.zeros((36, 64))
    dense[[3, 3, 20, 35], [0, 63, 5, 5]] = 1, 2, 3, 4
    for matrix in (csc_matrix(dense), csc_matrix(dense > 0), csc_matrix((7, 9)), coo_array(dense)):
        savemat(tmp_path / "a.mat", {"I": matrix}, do_compression=compressed)
        np.testing.assert_array_equal(read_matrix(tmp_path / "a.mat", "I"), loadmat(tmp_path / "a.mat")["I"].toarray())


def test_a_file_of_a_machine_of_the_other_byte_order(tmp_path):
    """By hand, as the format's description says: header, a matrix of 2 x 1 int16, big-endian."""
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI"
    flags = b"\0\0\0\6\0\0\0\10" + b"\0\0\0\12\0\0\0\0"
    sides = b"\0\0\0\5\0\0\0\10" + b"\0\0\0\2\0\0\0\1"
    name, values = b"\0\1\0\1I\0\0\0", b"\0\4\0\3\1\2\3\4"
    body = flags + sides + name + values
    (tmp_path / "a.mat").write_bytes(header + b"\0\0\0\16" + len(body).to_bytes(4, "big") + body)
    assert read_matrix(tmp_path / "a.mat", "I").tolist() == [[0x0102], [0x0304]]


def test_what_is_no_matrix_of_numbers(tmp_path):
    for value in ("text", np.zeros((2, 2, 2)), np.array([1j]), {"a": 1}, np.array([[1, "x"]], object)):
        savemat(tmp_path / "a.mat", {"I": value})
        with pytest.raises(InputError, match=r"a\.mat: "):
            read_matrix(tmp_path / "a.mat", "I")
    with pytest.raises(InputError, match=r"no variable 'J' \(found: I\)"):
        read_matrix(tmp_path / "a.mat", "J")
