"""How much of the attention a logo gets, with a page to send: `python examples/region_report.py ad.mp4 out/`."""

import sys
from pathlib import Path

import saliency
from saliency.attention.notes import ModelNotes
from saliency.attention.report import Wishes, write_report


def main(path: str, out: str, *regions: str) -> None:
    """Write the report of a film and print what each region gets.

    Args:
        path: of the film.
        out: folder of the report.
        *regions: such as ``logo=498,66,60,60``: left, top, width and height in pixels.
    """
    model = saliency.load_model()
    notes = ModelNotes(name=model.name, sha256=model.sha256, judge=model.judge)
    with saliency.open_video(path) as film:
        wishes = Wishes(regions=regions or [f"left half=0,0,{film.size[1] // 2},{film.size[0]}"], thumbnails=1)
        report = write_report(film, model.predictor(), Path(out), wishes, notes=notes)
    for region in report.film.summaries():
        if region.attention is None or region.lift is None:
            print(f"{region.name}: never in the picture")
            continue
        print(f"{region.name}: {region.attention:.1%} of the attention, {region.lift:.1f} times its area")
    print(report.page)


if __name__ == "__main__":
    main(*sys.argv[1:])
