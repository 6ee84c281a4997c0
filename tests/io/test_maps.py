"""Maps and fixations survive writing and reading; bad files are named."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix

from saliency.errors import InputError
from saliency.io.maps import MAP_FILES, read_density, read_fixations, to_grey, write_density, write_fixations

RNG = np.random.default_rng(0)


def test_density_png_uses_all_eight_bits_or_a_fixed_peak(tmp_path):
    density = RNG.random((9, 13)).astype(np.float32) * 0.3
    write_density(tmp_path / "own.png", density)
    np.testing.assert_allclose(read_density(tmp_path / "own.png"), density / density.max(), atol=0.51 / 255)
    write_density(tmp_path / "fixed.png", density, peak=0.2)
    np.testing.assert_allclose(read_density(tmp_path / "fixed.png"), (density / 0.2).clip(max=1), atol=0.51 / 255)


def test_density_npy_keeps_its_values(tmp_path):
    density = RNG.random((9, 13)).astype(np.float32) * 7
    write_density(tmp_path / "a.npy", density)
    found = read_density(tmp_path / "a.npy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, density)


@pytest.mark.parametrize("suffix", MAP_FILES)
def test_what_is_written_in_any_format_is_read_again(tmp_path, suffix):
    density = RNG.random((9, 13)).astype(np.float32)
    density[0, 0] = 1
    write_density(tmp_path / f"a{suffix}", density, bits=16)
    np.testing.assert_allclose(read_density(tmp_path / f"a{suffix}"), density, atol=0.51 / 65535)


def test_empty_map_stays_black(tmp_path):
    write_density(tmp_path / "a.png", np.zeros((4, 5)))
    assert read_density(tmp_path / "a.png").max() == 0
    assert to_grey(np.zeros((2, 2)), peak=0.0).max() == 0


def test_kinds_of_density_images(tmp_path):
    grey = RNG.integers(0, 256, (6, 8), dtype=np.uint8)
    Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2)).save(tmp_path / "colour.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    for name in ("colour", "deep"):
        np.testing.assert_allclose(read_density(tmp_path / f"{name}.png"), grey / 255, atol=1e-6)


@pytest.mark.parametrize("suffix", [".png", ".mat"])
def test_fixations_survive(tmp_path, suffix):
    fixations = RNG.random((11, 7)) < 0.2
    write_fixations(tmp_path / f"a{suffix}", fixations)
    found = read_fixations(tmp_path / f"a{suffix}")
    assert found.dtype == bool
    np.testing.assert_array_equal(found, fixations)


def test_fixations_are_all_values_above_zero(tmp_path):
    values = np.array([[0, 1, 2], [128, 255, 0]], dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    savemat(tmp_path / "b.mat", {"I": values.astype(float)})
    savemat(tmp_path / "c.mat", {"I": csc_matrix(values.astype(float))})
    for name in ("a.png", "b.mat", "c.mat"):
        np.testing.assert_array_equal(read_fixations(tmp_path / name), values > 0)


def test_bad_files_are_named_in_one_line(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"x" * 100)
    (tmp_path / "bad.mat").write_bytes(b"x" * 300)
    (tmp_path / "bad.npy").write_bytes(b"x" * 100)
    savemat(tmp_path / "other.mat", {"J": np.zeros((2, 2))})
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    np.save(tmp_path / "negative.npy", -np.ones((2, 2)))
    np.save(tmp_path / "nan.npy", np.full((2, 2), np.nan))
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    cases = [
        (read_density, "none.png", "no such map"),
        (read_density, "none.npy", "no such map"),
        (read_density, "bad.png", "not an image"),
        (read_density, "bad.npy", "not a NumPy array"),
        (read_density, "cube.npy", "shape"),
        (read_density, "negative.npy", "negative or non-finite"),
        (read_density, "nan.npy", "negative or non-finite"),
        (read_density, "pickle.npy", "not a NumPy array"),
        (read_fixations, "none.mat", "no such"),
        (read_fixations, "none.png", "no such"),
        (read_fixations, "bad.mat", "not a Matlab file"),
        (read_fixations, "other.mat", r"no variable 'I' \(found: J\)"),
    ]
    for read, name, message in cases:
        with pytest.raises(InputError, match=message) as error:
            read(tmp_path / name)
        assert name in str(error.value) and "\n" not in str(error.value)


def test_wrong_things_to_write(tmp_path):
    for call in (
        lambda: write_density(tmp_path / "a.jpg", np.ones((2, 2))),
        lambda: write_density(tmp_path / "a.png", np.ones((2, 2, 3))),
        lambda: write_density(tmp_path / "a.png", -np.ones((2, 2))),
        lambda: write_density(tmp_path / "no" / "folder.png", np.ones((2, 2))),
        lambda: write_fixations(tmp_path / "a.bmp", np.ones((2, 2))),
        lambda: write_fixations(tmp_path / "a.png", np.ones(2)),
    ):
        with pytest.raises(InputError):
            call()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (64, 65)])
def test_maps_come_back_from_pictures_to_the_level(tmp_path, bits, size):
    density = np.random.default_rng(0).random(size, dtype=np.float32) ** 3
    write_density(tmp_path / "a.png", density, bits=bits)
    kind = {8: np.uint8, 16: np.uint16}[bits]
    wanted = np.rint(np.clip(density / density.max(), 0, 1) * np.iinfo(kind).max).astype(kind)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == {8: "L", 16: "I;16"}[bits]
        np.testing.assert_array_equal(np.asarray(picture), wanted)
