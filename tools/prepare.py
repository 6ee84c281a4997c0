"""`python tools/prepare.py …` is `saliency prepare …`."""

import sys

from saliency.commands.main import main

main(["prepare", *sys.argv[1:]])
