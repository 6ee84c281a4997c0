"""Files that were changed on their way: archives, weights, Matlab files; and weights that ask for too much."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import time
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch
from scipy.io import savemat
from scipy.sparse import csc_matrix

from saliency.errors import InputError
from saliency.io.matlab import read_matrix
from saliency.io.serial import encode
from saliency.io.weights import FORMAT, _content_sha256, load_model, read_weights
from saliency.models.appearance_net import AppearanceNetConfig
from saliency.preparation.archives import unpack

pytestmark = pytest.mark.hostile("changed files")


def a_tar() -> bytes:
    data = io.BytesIO()
    rng = np.random.default_rng(0)
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in ("video/001.AVI", "maps/0001.png", "maps/0002.png"):
            content = rng.integers(0, 255, 3000, np.uint8).tobytes()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def a_zip() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(a_tar())) as archive, zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as new:
        for member in archive.getmembers():
            new.writestr(member.name, archive.extractfile(member).read())
    return data.getvalue()


ARCHIVES = {
    "tar.gz": lambda: gzip.compress(a_tar(), mtime=0),
    "tar.bz2": lambda: bz2.compress(a_tar()),
    "tar.xz": lambda: lzma.compress(a_tar()),
    "zip": a_zip,
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_flipped_bit_in_an_archive(cases, containers, tmp_path, kind):
    """Refused in one line, and nothing is unpacked that differs from what was packed."""
    data = ARCHIVES[kind]()
    archive = tmp_path / f"a.{kind}"
    archive.write_bytes(data)
    assert unpack(archive, tmp_path / "whole") == 3
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").rglob("*.*")}
    for name, damaged in [*containers.bits(data, 40, seed=1), ("half", data[: len(data) // 2]), ("end", data[:-3])]:
        with cases.case(name):
            archive.write_bytes(damaged)
            out = tmp_path / name
            try:
                unpack(archive, out)
            except InputError as error:
                assert str(error).startswith(f"{archive}: ") and "\n" not in str(error)
            found = {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}
            assert all(whole.get(each) == content for each, content in found.items())
    cases.check()


def test_a_flipped_bit_in_published_weights(cases, containers, tmp_path):
    state = {f"layer.{i}.weight": torch.randn(20, 20) for i in range(4)}
    path = tmp_path / "a.pt"
    torch.save({"state_dict": state, "epoch": 3}, path)
    data = path.read_bytes()
    refused = 0
    for name, damaged in [*containers.bits(data, 60, seed=2), ("half", data[: len(data) // 2]), ("end", data[:-3])]:
        with cases.case(name):
            path.write_bytes(damaged)
            try:
                found = read_weights(path)["state_dict"]
            except InputError as error:
                refused += 1
                assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            else:  # a bit that means nothing, such as one between two members
                assert all(torch.equal(found[key], state[key]) for key in state)
    cases.check()
    assert refused > 30


@pytest.mark.parametrize("form", ["plain", "compressed", "sparse"])
def test_a_damaged_matlab_file(cases, containers, tmp_path, form):
    """Never a crash: a matrix of the right kind or one line. What is compressed has a checksum: then the right one."""
    dense = np.zeros((36, 64), np.uint8)
    dense[::5, ::7] = 1
    path = tmp_path / "a.mat"
    savemat(path, {"I": csc_matrix(dense) if form == "sparse" else dense}, do_compression=form == "compressed")
    data = path.read_bytes()
    damages = [
        *containers.bits(data, 120, seed=3, first=116),
        *containers.bits(data, 120, seed=4, first=116, last=min(230, len(data))),
    ]
    damages += [(f"cut_{n}", data[:n]) for n in range(0, len(data), max(1, len(data) // 30))]
    for name, damaged in damages:
        with cases.case(name):
            path.write_bytes(damaged)
            try:
                found = read_matrix(path, "I")
            except InputError as error:
                assert str(error).startswith(f"{path}: ") and "\n" not in str(error) and len(str(error)) < 500
            else:
                assert found.ndim == 2
                if form == "compressed":
                    np.testing.assert_array_equal(found, dense)
    cases.check()


GREEDY = {
    "depth": {"depths": [1, 10**6, 2, 2]},
    "depths of all": {"depths": [10**9] * 4},
    "width": {"channels": [32, 64, 128, 10**9]},
    "decoder": {"decoder_channels": 10**7},
    "prior": {"prior": [10**6, 10**6]},
    "below zero": {"channels": [-5, 64, 128, 192]},
    "text": {"channels": "many"},
    "none": {"depths": None},
    "float": {"decoder_channels": 1e30},
    "infinite": {"dropout": float("inf")},
    "clip": {"input": {"class": "saliency.types:InputSpec", "length": 10**9}},
    "size": {"input": {"class": "saliency.types:InputSpec", "size": [10**6, 10**6]}},
    "no model": None,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", GREEDY)
def test_weights_that_ask_for_too_much(tmp_path, case):
    """The file is whole and its checksum right, but its config asks for what no such file can fill."""
    config = AppearanceNetConfig(channels=(4, 4, 8, 8), decoder_channels=4)
    tensors = {name: value.contiguous() for name, value in config.build().state_dict().items()}
    changes = GREEDY[case]
    encoded = {"class": "saliency.types:SaliencyTarget"} if changes is None else encode(config) | changes
    header = {"format": FORMAT, "config": json.dumps(encoded)}
    header["content_sha256"] = _content_sha256(tensors, header)
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file(tensors, path, header)
    begun = time.monotonic()
    with pytest.raises(InputError) as caught:
        load_model(path)
    assert time.monotonic() - begun < 20
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
