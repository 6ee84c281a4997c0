"""`python tools/compare.py …` is `saliency compare …`."""

import sys

from saliency.commands.main import main

main(["compare", *sys.argv[1:]])
