"""Let glibc reuse large blocks instead of giving each back to the system and asking for a new one.

The system clears every page that it hands out. `saliency.metrics.frame` has a milder way, for processes of others.
"""

import contextlib
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Numbers of options, see mallopt(3)."""


def keep_all() -> None:
    """Keep everything, in a process that is a command's own.

    Clearing pages was a third of the CPU time of a map of ViNet-S. What is held is at most what was once needed at the
    same time, but for gaps: 7 % more with the default model, 30 % with ViNet-S. Whoever sets one of glibc's
    ``MALLOC_`` variables or ``GLIBC_TUNABLES`` decides alone.
    """
    decided = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if sys.platform != "linux" or decided:
        return
    import ctypes

    with contextlib.suppress(AttributeError, OSError):  # another C library
        set_option = ctypes.CDLL(None).mallopt
        set_option(_M_MMAP_MAX, 0)  # no block apart from the heap
        set_option(_M_TRIM_THRESHOLD, -1)  # which never shrinks
