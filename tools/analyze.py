"""`python tools/analyze.py …` is `saliency analyze …`."""

import sys

from saliency.commands.main import main

main(["analyze", *sys.argv[1:]])
