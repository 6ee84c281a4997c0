"""`python tools/train.py …` is `saliency train …`."""

import sys

from saliency.commands.main import main

main(["train", *sys.argv[1:]])
