"""What all data sets share: annotated videos, clips, target frames, map files, quarantine."""
