"""Four clients upload good and bad files to `saliency serve` for a while: `python benchmarks/serve.py --minutes 60`.

Every request must end as it should, the memory must not grow, and no file may be left. The media are made here.
"""

import http.client
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import tyro
from PIL import Image

from saliency.commands.main import exit_with
from saliency.errors import InputError
from saliency.serve.client import Client
from saliency.serve.example import write_example

SIZE = (72, 128)
PATIENCE = 600
"""Seconds after which a request counts as lost."""


@dataclass(slots=True)
class Tally:
    """What happened, by kind of request."""

    tried: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)


def make_media(folder: Path) -> None:
    """Write what is uploaded."""
    write_example(folder / "good.mp4", frames=8, size=SIZE)
    write_example(folder / "long.mp4", frames=40, size=SIZE, fps=10)
    whole = (folder / "good.mp4").read_bytes()
    (folder / "half.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "page.mp4").write_text("<!DOCTYPE html><p>no film</p>" * 40)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "large.mp4").write_bytes(b"0" * 1_100_000)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)).save(folder / "photo.png")


def measured(client: Client, path: Path, out: Path) -> None:
    """The whole way of a good file; waits where the server is busy."""
    while True:
        try:
            client.report(path, out, regions={"logo": [10, 10, 40, 20]}, thumbnails=1)
            break
        except InputError as error:
            if "try again" not in str(error):
                raise
            time.sleep(1)
    if not (out / "report.html").stat().st_size:
        raise InputError(f"{path.name}: an empty report")


def refused(client: Client, path: Path, words: str) -> None:
    """A bad file must be refused with these words."""
    try:
        client.upload(path)
    except InputError as error:
        if words in str(error):
            return
        raise
    raise InputError(f"{path.name}: was accepted")


def removed(client: Client, path: Path) -> None:
    """A video is removed while it waits or is measured."""
    id = client.upload(path)["id"]
    try:
        client.measure(id)
        time.sleep(random.random())
    except InputError as error:
        if "try again" not in str(error):
            raise
    finally:
        client.remove(id)


def broken_off(client: Client, path: Path) -> None:
    """A client goes away in the middle of an upload."""
    address = urlsplit(client.address)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE)
    connection.putrequest("POST", "/api/videos?name=gone.mp4")
    connection.putheader("Content-Length", "500000")
    connection.endheaders(path.read_bytes()[:2000])
    connection.close()


def requests(media: Path) -> dict[str, Callable[[Client, Path], None]]:
    """Every kind of request."""
    return {
        "a good video": lambda client, out: measured(client, media / "good.mp4", out),
        "a good picture": lambda client, out: measured(client, media / "photo.png", out),
        "an HTML file called .mp4": lambda client, out: refused(client, media / "page.mp4", "is not a video"),
        "half a video": lambda client, out: refused(client, media / "half.mp4", "half.mp4: "),
        "an empty file": lambda client, out: refused(client, media / "empty.mp4", "is empty"),
        "a file too large": lambda client, out: refused(client, media / "large.mp4", "takes up to 1 MB"),
        "a video too long": lambda client, out: refused(client, media / "long.mp4", "takes up to 3"),
        "removed meanwhile": lambda client, out: removed(client, media / "good.mp4"),
        "broken off while uploading": lambda client, out: broken_off(client, media / "good.mp4"),
    }


def visit(address: str, media: Path, out: Path, until: float, tally: Tally) -> None:
    """One client until it is time."""
    client = Client(address, timeout=PATIENCE)
    kinds = requests(media)
    for kind in itertools.cycle(random.sample(list(kinds), len(kinds))):
        if time.monotonic() > until:
            return
        tally.tried[kind] += 1
        try:
            kinds[kind](client, out)
        except (InputError, OSError) as error:
            tally.wrong.append(f"{kind}: {error}")


def watch(pid: int, until: float, tally: Tally) -> None:
    """Note the server's memory and open files every five seconds."""
    while time.monotonic() < until:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        tally.megabytes.append(int(status.partition("VmRSS:")[2].split()[0]) / 1000)
        tally.handles.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))
        time.sleep(5)


def files_in(folder: Path) -> list[str]:
    """Uploads and results that are on the disk."""
    return [path.name for path in folder.glob("saliency-serve-*/videos/*/**/*") if path.is_file()]


def main(minutes: float = 60, clients: int = 4) -> int:
    """Run all of it and print a table; status 1 if anything was not as it should be.

    Args:
        minutes: how long.
        clients: how many at once.
    """
    tally = Tally()
    with tempfile.TemporaryDirectory() as place:
        folder, media = Path(place) / "tmp", Path(place) / "media"
        folder.mkdir()
        media.mkdir()
        make_media(media)
        words = ("--port", "0", "--device", "cpu", "--megabytes", "1", "--seconds", "3", "--waiting", "3")
        command = [sys.executable, "-m", "saliency", "serve", *words]
        server = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(folder)}, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        address = server.stdout.readline().split()[1]
        until = time.monotonic() + 60 * minutes
        threads = [threading.Thread(target=watch, args=(server.pid, until, tally))]
        for number in range(clients):
            out = Path(place) / f"out_{number}"
            threads.append(threading.Thread(target=visit, args=(address, media, out, until, tally)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(3)  # for the last one that was removed meanwhile
        left = files_in(folder)
        server.send_signal(signal.SIGTERM)
        status = server.wait(60)
        rest = [path.name for path in folder.iterdir()]
    quarter = max(len(tally.megabytes) // 4, 1)
    print(f"{minutes:g} minutes, {clients} clients\n\n| request | tried |\n|---|---:|")
    for kind, count in sorted(tally.tried.items()):
        print(f"| {kind} | {count} |")
    mean = [float(np.mean(part)) for part in (tally.megabytes[quarter : 2 * quarter], tally.megabytes[-quarter:])]
    print(f"\nnot as it should be: {len(tally.wrong)} of {sum(tally.tried.values())}", *tally.wrong[:20], sep="\n")
    print(
        f"memory: {mean[0]:.0f} MB in the second quarter, {mean[1]:.0f} MB in the last; most {max(tally.megabytes):.0f}"
    )
    print(f"open files: {tally.handles[quarter]} after a quarter, {tally.handles[-1]} at the end")
    print(f"files left while it ran: {left}; after it ended (status {status}): {rest}")
    return int(bool(tally.wrong or left or rest or mean[1] > 1.1 * mean[0]))


if __name__ == "__main__":
    exit_with(lambda: tyro.cli(main))
