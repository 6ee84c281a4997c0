"""From a video to maps and films: predictor, rendering, export."""
