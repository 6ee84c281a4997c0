"""Recordings in the layouts of the vendors, written here from the public descriptions of their exports."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

SCREEN = (900, 1440)


def path_of_gaze(seconds: float = 2.0, rate: float = 60.0) -> tuple[np.ndarray, np.ndarray]:
    """Times (n,) in seconds and places (n, 2) on the screen: five stops; the eye is lost for three samples."""
    time = np.arange(int(seconds * rate)) / rate
    stops = np.array([[700, 450], [300, 200], [1100, 250], [1200, 700], [250, 650]], dtype=np.float64)
    xy = stops[np.minimum((time / seconds * 5).astype(int), 4)] + np.sin(np.arange(len(time)))[:, None]
    xy[30:33] = np.nan
    return time, xy


def tobii(path: Path, time: np.ndarray, xy: np.ndarray) -> Path:
    """Pro Lab: UTF-16, tabs, decimal commas, microseconds, events as rows of their own."""
    columns = ["Recording timestamp [μs]", "Sensor", "Participant name", "Event", "Event value"]
    columns += [
        "Gaze point X [DACS px]",
        "Gaze point Y [DACS px]",
        "Validity left",
        "Validity right",
        "Eye movement type",
    ]
    rows = [
        "\t".join(columns),
        "4900000\t\tAnna\tRecordingStart\t\t\t\t\t\t",
        "5000000\t\tAnna\tVideoStimulusStart\tcat\t\t\t\t\t",
    ]
    for t, (x, y) in zip(time, xy, strict=True):
        seen = np.isfinite(x)
        place = [f"{x:.2f}".replace(".", ","), f"{y:.2f}".replace(".", ","), "Valid", "Invalid", "Fixation"]
        rows.append(
            "\t".join(
                [
                    f"{5_000_000 + t * 1e6:.0f}",
                    "Eye Tracker",
                    "Anna",
                    "",
                    "",
                    *(place if seen else ["", "", "Invalid", "Invalid", "EyesNotFound"]),
                ]
            )
        )
    path.write_bytes("\r\n".join(rows).encode("utf-16"))
    return path


def pupil(path: Path, time: np.ndarray, xy: np.ndarray) -> Path:
    """Pupil Player, a surface: shares of it, y upwards, little confidence where the eye was lost."""
    rows = ["world_timestamp,world_index,gaze_timestamp,x_norm,y_norm,x_scaled,y_scaled,on_surf,confidence"]
    for k, (t, (x, y)) in enumerate(zip(time, xy, strict=True)):
        sure = np.isfinite(x)
        u, v = (x / SCREEN[1], 1 - y / SCREEN[0]) if sure else (0.31, 0.77)
        rows.append(f"{1000 + t:.6f},{k},{1000 + t:.6f},{u:.6f},{v:.6f},{u:.6f},{v:.6f},True,{0.98 if sure else 0.1}")
    path.write_text("\n".join(rows) + "\n")
    return path


def eyelink(path: Path, time: np.ndarray, xy: np.ndarray) -> Path:
    """edf2asc, both eyes, one of them lost now and then; the mean of the two is the place."""
    rows = [
        "** CONVERTED FROM P01.EDF",
        "** TYPE: EDF_FILE BINARY EVENT SAMPLE TAGGED",
        "",
        "MSG\t90000 DISPLAY_COORDS 0 0 1439 899",
    ]
    rows += [
        "START\t90000 \tLEFT\tRIGHT\tSAMPLES\tEVENTS",
        "SAMPLES\tGAZE\tLEFT\tRIGHT\tRATE\t 60.00\tTRACKING\tCR",
        "MSG\t90000 VIDEO_ONSET cat",
    ]
    for t, (x, y) in zip(time, xy, strict=True):
        left, right = (
            (f"{x - 2:.1f}\t{y:.1f}\t900.0", f"{x + 2:.1f}\t{y:.1f}\t910.0") if np.isfinite(x) else (".\t.\t0.0",) * 2
        )
        rows.append(f"{90000 + t * 1000:.1f}\t{left}\t{right}\t.....")
    rows += [
        "EFIX L   90000\t90350\t350\t700.0\t450.0\t900",
        f"END\t{90000 + time[-1] * 1000:.0f} \tSAMPLES\tEVENTS\tRES\t 40 40",
    ]
    path.write_text("\n".join(rows) + "\n")
    return path


def gazepoint(path: Path, time: np.ndarray, xy: np.ndarray) -> Path:
    """Gazepoint Analysis, all gaze: shares of the screen, y downwards, validity 0 where the eye was lost."""
    rows = [
        "MEDIA_ID,MEDIA_NAME,CNT,TIME(2026/02/20 13:28:43.000),TIMETICK(f=10000000),"
        "FPOGX,FPOGY,FPOGV,BPOGX,BPOGY,BPOGV,USER,"
    ]
    for k, (t, (x, y)) in enumerate(zip(time, xy, strict=True)):
        seen = int(np.isfinite(x))
        u, v = (x / SCREEN[1], y / SCREEN[0]) if seen else (0.0, 0.0)
        place = f"{u:.6f},{v:.6f},{seen}"
        rows.append(f"0,cat,{k},{t:.5f},{8000 + t * 1e7:.0f},{place},{place},{'GO' if k == 0 else ''},")
    path.write_text("\n".join(rows) + "\n")
    return path


def own_table(path: Path, time: np.ndarray, xy: np.ndarray) -> Path:
    """A table with semicolons, decimal commas, milliseconds since 1970 and (0, 0) for a lost eye."""
    rows = ["subject;timestamp;x;y;message"]
    for k, (t, (x, y)) in enumerate(zip(time, xy, strict=True)):
        place = f"{x:.2f};{y:.2f}" if np.isfinite(x) else "0;0"
        rows.append(f"s1;{1_700_000_000_000 + t * 1000:.3f};{place};{'GO' if k == 0 else ''}".replace(".", ","))
    path.write_text("\n".join(rows) + "\n")
    return path


WRITERS: dict[str, Callable[[Path, np.ndarray, np.ndarray], Path]] = {
    "tobii": tobii,
    "pupil": pupil,
    "eyelink": eyelink,
    "gazepoint": gazepoint,
    "csv": own_table,
}
ONSETS = {"tobii": "VideoStimulusStart cat", "pupil": "", "eyelink": "VIDEO_ONSET", "gazepoint": "GO", "csv": "GO"}


@pytest.fixture(params=WRITERS)
def vendor_file(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, str]:
    """A vendor's name, a file in its layout, and the message that says when the video began."""
    endings = {"tobii": ".tsv", "eyelink": ".asc"}
    path = tmp_path / f"P01{endings.get(request.param, '.csv')}"
    return request.param, WRITERS[request.param](path, *path_of_gaze()), ONSETS[request.param]


@pytest.fixture
def true_gaze() -> tuple[np.ndarray, np.ndarray]:
    """What the files say: seconds since the video began, places on the screen."""
    return path_of_gaze()
