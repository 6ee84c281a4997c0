"""What every command line tool shares: one clear line for bad input and an exit status that says so."""

import sys
from collections.abc import Callable

from saliency.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, InputError


def run(main: Callable[[], int | None]) -> None:
    """Call `main` and exit: 0 when done, 2 after bad input (one line on stderr), 130 after Ctrl-C."""
    try:
        sys.exit(main() or 0)
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(EXIT_INTERRUPTED)
