"""`python tools/leaderboard.py …` is `saliency leaderboard …`."""

import sys

from saliency.commands.main import main

main(["leaderboard", *sys.argv[1:]])
