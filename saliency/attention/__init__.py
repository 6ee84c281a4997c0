"""What a client asks of a film: where attention goes, how much a region gets, which crop keeps it, a report to send.

Everything here starts from maps (h, w) >= 0 of any size that stand for a picture of (H, W) pixels. Places are in
pixels of the picture, measured from its upper left edge: the picture spans 0 to W and 0 to H, and the middle of
its first pixel lies at (0.5, 0.5). `docs/report.md` defines every number.
"""
