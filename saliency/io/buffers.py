"""Memory of large tensors, used again once nobody holds them.

The system hands out memory page by page, and zeroes each: to touch the floats of a batch for the first time takes as
long as to compute them, and many times as long on a virtual machine whose memory the host has not provided yet.
"""

import math
import sys
import threading

import numpy as np
import torch
from torch import Tensor

KEPT = 3
"""Buffers of one size: a batch in use, one that waits, one that is filled."""


def _holders(arrays: list[np.ndarray], i: int) -> int:
    return sys.getrefcount(arrays[i])


_FREE = _holders([np.empty(0)], 0)
"""References to an array that only its list holds; how many a call adds differs between versions of Python."""


class Buffers:
    """Float32 tensors on the CPU. Safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: dict[int, list[np.ndarray]] = {}
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...]) -> Tensor:
        """Return a tensor of any content, as `torch.empty`.

        Its memory is used again when the tensor, all views of it and all that autograd saved of it are gone.
        """
        length = math.prod(shape)
        with self._lock:
            kept = self._kept.setdefault(length, [])
            for i in range(len(kept)):
                if _holders(kept, i) == _FREE:  # a tensor's storage holds a reference to its array
                    return torch.from_numpy(kept[i]).view(shape)
            made = np.empty(length, np.float32)
            if len(kept) < KEPT:
                kept.append(made)
            return torch.from_numpy(made).view(shape)
