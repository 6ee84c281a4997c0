"""Reading and writing frames, maps, videos and checkpoints."""
