"""`python tools/export.py …` is `saliency export …`."""

import sys

from saliency.commands.main import main

main(["export", *sys.argv[1:]])
