"""Memory is used again when nothing holds it, and never before."""

import copy

import torch

from saliency.io.buffers import KEPT, Buffers


def address(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def test_memory_is_used_again_once_a_tensor_is_gone():
    buffers = Buffers()
    tensor = buffers.empty((2, 3, 4))
    assert tensor.shape == (2, 3, 4) and tensor.dtype == torch.float32
    first = address(tensor)
    assert address(buffers.empty((24,))) != first
    del tensor
    assert address(buffers.empty((4, 6))) == first


def test_whatever_shares_the_memory_holds_it():
    buffers = Buffers()
    holders = {
        "view": lambda tensor: tensor[1:],
        "detached": lambda tensor: tensor.detach(),
        "array": lambda tensor: tensor.numpy()[:1],
        "storage": lambda tensor: tensor.untyped_storage(),
        "shallow copy": copy.copy,
        "graph": lambda tensor: (tensor * torch.ones(8, requires_grad=True)).sum(),
    }
    for name, hold in holders.items():
        tensor = buffers.empty((2, 8))
        taken = address(tensor)
        held = hold(tensor)
        del tensor
        others = [buffers.empty((2, 8)) for _ in range(2 * KEPT)]
        assert taken not in map(address, others), name
        assert len(set(map(address, others))) == len(others)
        del held, others


def test_no_more_than_a_few_are_kept():
    buffers = Buffers()
    many = [buffers.empty((5,)) for _ in range(KEPT + 4)]
    assert len(set(map(address, many))) == len(many)
    del many
    assert len(buffers._kept[5]) == KEPT
