"""`python tools/bench.py …` is `saliency bench …`."""

import sys

from saliency.commands.main import main

main(["bench", *sys.argv[1:]])
