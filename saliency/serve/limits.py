"""How much one server takes on."""

from dataclasses import dataclass

from saliency.errors import InputError

MOST_PIXELS = 4096 * 2304
"""Pixels of a frame; more are refused, whatever the file's size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is accepted.

    Attributes:
        megabytes: largest file, in 10**6 bytes.
        seconds: longest video.
        waiting: videos that may wait for their turn; one is measured at a time.
        videos: uploads that are kept at once, whatever their state.
        minutes: how long an upload and its results are kept after the last thing that was done with them.
    """

    megabytes: float = 200
    seconds: float = 120
    waiting: int = 8
    videos: int = 32
    minutes: float = 30

    def __post_init__(self) -> None:
        """Refuse limits that let nothing through."""
        for name in self.__slots__:
            value = getattr(self, name)
            if not 0 < value < 1e9:
                raise InputError(f"{name} must be above 0, got {value:g}")

    @property
    def bytes(self) -> int:
        """Largest file in bytes."""
        return int(self.megabytes * 1e6)
