"""`python tools/infer.py …` is `saliency infer …`."""

import sys

from saliency.commands.main import main

main(["infer", *sys.argv[1:]])
