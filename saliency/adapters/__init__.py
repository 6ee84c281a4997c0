"""The project inside other libraries: metrics for torchmetrics, models and data sets for pysaliency."""
