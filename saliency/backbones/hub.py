"""The model hub (huggingface.co) and what to do without it."""

import os
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from saliency.errors import InputError

PATIENCE = 5.0
"""Seconds to wait for a first answer."""


@contextmanager
def hub() -> Iterator[None]:
    """While inside, the hub's library looks into its own cache only if the hub cannot be reached.

    By itself it tries every file again and again for minutes before it gives up.

    Raises:
        InputError: the hub's library is not installed.
    """
    try:
        from huggingface_hub import constants
    except ImportError as error:
        raise InputError(
            "weights from huggingface.co need huggingface_hub, which is not here: pip install 'video-saliency[hub]'"
        ) from error

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not reachable(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def reachable(url: str) -> bool:
    """Whether somebody answers at the host of `url`; True if a proxy is set, which alone could tell."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme in urllib.request.getproxies() or "all_proxy" in {name.lower() for name in os.environ}:
        return True
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 443), timeout=PATIENCE):
            return True
    except OSError:
        return False
