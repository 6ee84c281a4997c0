"""The exceptions that mean "what you gave me cannot be used"."""

import difflib
from collections.abc import Iterable

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class InputError(ValueError):
    """Bad input from the user: the message is one line that names the thing and the remedy.

    The command line tools print the message and exit with status 2; everything else is a bug and
    shows its traceback. Names and values that it quotes cannot break the line.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(" ".join("".join(c if c.isprintable() else " " for c in str(message)).split()))


class MissingData(InputError):
    """Open data that is not on this machine; the message says how to get it.

    What can do without that data goes on and repeats the message.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known name closest to `name`, or an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{matches[0]}'?" if matches else ""
