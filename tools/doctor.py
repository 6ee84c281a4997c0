"""`python tools/doctor.py …` is `saliency doctor …`."""

import sys

from saliency.commands.main import main

main(["doctor", *sys.argv[1:]])
