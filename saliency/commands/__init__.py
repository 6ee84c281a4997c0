"""One file for each command of `saliency`."""
