"""`python tools/serve.py …` is `saliency serve …`."""

import sys

from saliency.commands.main import main

main(["serve", *sys.argv[1:]])
