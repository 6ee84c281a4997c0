"""`python tools/report.py …` is `saliency report …`."""

import sys

from saliency.commands.main import main

main(["report", *sys.argv[1:]])
