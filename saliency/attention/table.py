"""The numbers of every frame as a CSV table."""

import csv
import re
from pathlib import Path

from saliency.attention.crop import CropPath
from saliency.attention.film import Film
from saliency.io.atomic import write_atomic

FOCUS = ("peak_x", "peak_y", "peak", "centroid_x", "centroid_y", "entropy", "spread", "centre_distance")


def write_table(path: Path, film: Film, crop: CropPath | None = None) -> None:
    """Write one line a frame.

    Columns: ``frame`` (from 0), ``time`` (seconds), those of `Focus`, ``scene`` (from 1), for each region
    ``NAME_attention``, ``NAME_area`` and ``NAME_peak`` (0 or 1; empty where it is not in the picture), and with a crop
    ``crop_x``, ``crop_y`` and ``crop_share``, and ``confidence`` (bits per fixation) where the model can say it.

    Args:
        path: file to write.
        film: what was measured.
        crop: the window's way.
    """
    heads = {name: re.sub(r"\s+", "_", name) for name in film.regions}
    header = ["frame", "time", *FOCUS, "scene"]
    header += [f"{head}_{what}" for head in heads.values() for what in ("attention", "area", "peak")]
    header += ["crop_x", "crop_y", "crop_share"] if crop is not None else []
    header += ["confidence"] if film.doubt is not None else []
    cuts = set(film.cuts)
    scene = 1
    with write_atomic(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for i, focus in enumerate(film.focus):
            scene += i in cuts
            line = [str(i), f"{film.times[i]:.4f}", *(f"{getattr(focus, name):.6g}" for name in FOCUS), str(scene)]
            for shares in film.regions.values():
                share = shares[i]
                line += ["", "", ""] if share is None else _cells(share.attention, share.area, share.holds_peak)
            if crop is not None:
                x, y = crop.corner(i)
                line += [str(x), str(y), f"{crop.share[i]:.6g}"]
            if film.doubt is not None:
                line.append(f"{film.doubt.confidence[i]:.6g}")
            writer.writerow(line)


def _cells(attention: float, area: float, holds_peak: bool) -> list[str]:
    return [f"{attention:.6g}", f"{area:.6g}", str(int(holds_peak))]
