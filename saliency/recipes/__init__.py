"""Published settings, each with its source."""
