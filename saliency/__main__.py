"""`python -m saliency …` is `saliency …`."""

from saliency.commands.main import main

main()
