"""Video saliency: models that learn from video, teach each other, and are scored with metrics to trust."""

__version__ = "0.1.0"
