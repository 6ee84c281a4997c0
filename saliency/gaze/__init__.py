"""From recordings of eye trackers to fixations and maps."""
