"""`python tools/evaluate.py …` is `saliency evaluate …`."""

import sys

from saliency.commands.main import main

main(["evaluate", *sys.argv[1:]])
