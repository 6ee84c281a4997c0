"""Read regions as people write them: ``logo=1620,60,240,90``, corners of a polygon, or a CSV with key frames."""

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path

from saliency.attention.areas import Polygon, Rectangle, Shape
from saliency.attention.regions import FixedRegion, MovingRegion, Region
from saliency.errors import InputError

FORMS = "NAME=X,Y,WIDTH,HEIGHT, NAME=X,Y:X,Y:X,Y (corners of a polygon) or NAME=FILE.csv"
COLUMNS = ("x", "y", "width", "height")


def parse_regions(texts: Sequence[str], size: tuple[int, int], fps: float) -> list[Region]:
    """Read several regions; see `parse_region`.

    Raises:
        InputError: one cannot be read, or two have the same name.
    """
    regions: list[Region] = []
    for text in texts:
        region = parse_region(text, size, fps)
        if any(region.name == other.name for other in regions):
            raise InputError(f"--roi {text}: there are two regions called '{region.name}'; give each its own name")
        regions.append(region)
    return regions


def parse_region(text: str, size: tuple[int, int], fps: float) -> Region:
    """Read one region.

    Args:
        text: ``NAME=X,Y,WIDTH,HEIGHT``, ``NAME=X,Y:X,Y:X,Y…`` or ``NAME=FILE.csv``, in pixels of the picture.
        size: (H, W) of the picture in pixels.
        fps: frames per second, for a CSV whose key frames are given in seconds.

    Raises:
        InputError: it is none of these, or nothing of it lies inside the picture.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not value:
        raise InputError(f"--roi {text}: a region is written {FORMS}")
    if not re.fullmatch(r"\w[\w .-]{0,39}", name):
        raise InputError(f"--roi {text}: a name is 1 to 40 letters, digits, spaces, '.', '-' or '_'")
    if value.lower().endswith(".csv"):
        return read_moving_region(Path(value), name, size, fps)
    region = FixedRegion(name=name, shape=_shape(text, value))
    _check_inside(f"--roi {text}", [region.shape], size)
    return region


def read_moving_region(path: Path, name: str, size: tuple[int, int], fps: float) -> MovingRegion:
    """Read a rectangle that moves: one line a key frame, columns ``frame`` (from 0) or ``time`` (seconds) and
    ``x, y, width, height``; a line whose four sides are empty says that the region leaves the picture there.

    Args:
        path: the CSV file.
        name: of the region.
        size: (H, W) of the picture in pixels.
        fps: frames per second, which turn times into frames (the nearest one).

    Raises:
        InputError: the file is missing, is no such table, or nothing of it lies inside the picture.
    """  # noqa: D205
    frames: list[int] = []
    shapes: list[Rectangle | None] = []
    for line, row in _rows(path):
        where = f"{path}, line {line}"
        frame = _frame(where, row, fps)
        if frames and frame <= frames[-1]:
            raise InputError(f"{where}: frame {frame} does not come after frame {frames[-1]}; sort the lines")
        texts = [row[column] for column in COLUMNS]
        frames.append(frame)
        shapes.append(_rectangle(where, texts) if any(texts) else None)
    known = [shape for shape in shapes if shape is not None]
    if not known:
        raise InputError(f"{path}: has no line with a rectangle")
    _check_inside(str(path), known, size)
    return MovingRegion(name=name, frames=tuple(frames), shapes=tuple(shapes))


def _shape(text: str, value: str) -> Shape:
    corners = [corner.split(",") for corner in value.split(":")]
    if len(corners) == 1:
        if len(corners[0]) != 4:
            raise InputError(f"--roi {text}: a region is written {FORMS}")
        return _rectangle(f"--roi {text}", corners[0])
    if any(len(corner) != 2 for corner in corners):
        raise InputError(f"--roi {text}: each corner of a polygon is X,Y, with ':' between corners")
    if len(corners) < 3:
        raise InputError(f"--roi {text}: a polygon has at least 3 corners")
    return Polygon(tuple((_number(f"--roi {text}", x), _number(f"--roi {text}", y)) for x, y in corners))


def _rectangle(where: str, texts: Sequence[str]) -> Rectangle:
    x, y, width, height = (_number(where, text) for text in texts)
    if width <= 0 or height <= 0:
        raise InputError(f"{where}: width and height must be above 0, got {width:g} and {height:g}")
    return Rectangle(x, y, width, height)


def _number(where: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: '{text.strip()}' is not a number")
    return value


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return line number and cells of each line under the heading."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            heading = [cell.strip().lower() for cell in next(reader, [])]
            if not set(COLUMNS) <= set(heading) or ("frame" in heading) == ("time" in heading):
                found = ", ".join(heading) or "nothing"
                raise InputError(
                    f"{path}: its first line must name frame (or time), {', '.join(COLUMNS)}; it has {found}"
                )
            rows = []
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                line = reader.line_num
                if len(cells) != len(heading):
                    raise InputError(f"{path}, line {line}: has {len(cells)} cells, the first line {len(heading)}")
                rows.append((line, {key: cell.strip() for key, cell in zip(heading, cells, strict=True)}))
            return rows
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is not a CSV file that can be read ({error})") from error


def _frame(where: str, row: dict[str, str], fps: float) -> int:
    if "time" in row:
        frame = round(_number(where, row["time"]) * fps)
    else:
        value = _number(where, row["frame"])
        if value != int(value):
            raise InputError(f"{where}: frame {row['frame']} is not a whole number")
        frame = int(value)
    if frame < 0:
        raise InputError(f"{where}: frames are counted from 0")
    return frame


def _check_inside(where: str, shapes: Sequence[Shape], size: tuple[int, int]) -> None:
    def inside(shape: Shape) -> bool:
        left, top, right, bottom = shape.box
        return left < size[1] and top < size[0] and right > 0 and bottom > 0

    if not any(inside(shape) for shape in shapes):
        raise InputError(f"{where}: lies outside the picture, which is {size[1]} wide and {size[0]} high")
