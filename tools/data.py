"""`python tools/data.py …` is `saliency data …`."""

import sys

from saliency.commands.main import main

main(["data", *sys.argv[1:]])
