"""Networks that models are built on: S3D, SlowFast, Video Swin, and where their published weights are."""
