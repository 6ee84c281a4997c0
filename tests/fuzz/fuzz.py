"""Fuzz the readers for a while; what goes wrong is kept in ``tests/fuzz/found/TARGET/`` and tried by tests ever after.

python tests/fuzz/fuzz.py [MINUTES] [TARGET ...]     default: 10 minutes over all targets

Each target runs in a process of its own, so that a crash or a hang is a found case, too.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).parent
FOUND = HERE / "found"
HANG = 60.0
"""Seconds after which one input hangs its reader."""
BATCH = 200


def main() -> int:
    """Fuzz; the exit status is 1 if anything was found."""
    words = sys.argv[1:]
    if words[:1] == ["--target"]:
        return work(words[1], float(words[2]), Path(words[3]))
    sys.path.insert(0, str(HERE))
    from targets import TARGETS

    minutes = float(words.pop(0)) if words and words[0].replace(".", "", 1).isdigit() else 10.0
    names = words or list(TARGETS)
    if unknown := set(names) - TARGETS.keys():
        sys.exit(f"no target {min(unknown)}; known: {', '.join(TARGETS)}")
    sys.stdout.write("| target | inputs | found |\n|---|---:|---:|\n")
    faults = 0
    for name in names:
        tried, found = watch(name, minutes * 60 / len(names))
        faults += len(found)
        sys.stdout.write(f"| {name} | {tried} | {len(found)} |\n")
        sys.stdout.flush()
        for told in found:
            sys.stderr.write(f"{name}: {told}\n")
    return int(faults > 0)


def watch(name: str, seconds: float) -> tuple[int, list[str]]:
    """Let a process fuzz one target, again after a crash; return how many inputs it tried and what it found."""
    tried, found, end = 0, [], time.monotonic() + seconds
    while (left := end - time.monotonic()) > 1:
        with tempfile.TemporaryDirectory() as folder:
            state = Path(folder, "state.json")
            command = [sys.executable, str(Path(__file__)), "--target", name, str(left), folder]
            with Path(folder, "words").open("w+") as words:
                process = subprocess.Popen(command, stdout=words, stderr=words)
                hangs = _wait(process, Path(folder, "input"), left + HANG)
                words.seek(0)
                told = words.read()
            report = json.loads(state.read_text()) if state.exists() else {"tried": 0, "found": []}
            tried += report["tried"]
            found += report["found"]
            if process.returncode == 0:
                break
            data = Path(folder, "input").read_bytes() if Path(folder, "input").exists() else b""
            reason = "hangs" if hangs else f"ends the process with status {process.returncode}"
            found.append(f"{keep(name, data)}: {reason} {told[-300:]!r}")
    return tried, found


def _wait(process: subprocess.Popen, latest: Path, limit: float) -> bool:
    """Wait for the process; end it and return True when one input takes too long."""
    end = time.monotonic() + limit + HANG
    while process.poll() is None:
        time.sleep(0.1)
        started = latest.stat().st_mtime if latest.exists() else time.time()
        if time.time() - started > HANG or time.monotonic() > end:
            process.kill()
            process.wait()
            return True
    return False


def work(name: str, seconds: float, folder: Path) -> int:
    """Try inputs of one target until the time is over; in a process of its own."""
    sys.path.insert(0, str(HERE))
    from damage import damaged
    from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
    from targets import TARGETS, attempt

    target, end = TARGETS[name], time.monotonic() + seconds
    seeds = target.seeds()
    report: dict = {"tried": 0, "found": []}
    last = {"data": b""}

    def save() -> None:
        (folder / "state.json").write_text(json.dumps(report))

    while time.monotonic() < end:

        @seed(random.SystemRandom().randrange(2**32))
        @settings(
            max_examples=BATCH,
            deadline=None,
            database=None,
            verbosity=Verbosity.quiet,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        )
        @given(damaged(seeds, target.words, text=target.text))
        def batch(data: bytes) -> None:
            if time.monotonic() > end:
                return
            (folder / "input").write_bytes(data)
            report["tried"] += 1
            last["data"] = data
            with tempfile.TemporaryDirectory(dir=folder) as place:
                attempt(target, data, Path(place))

        try:
            batch()
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            told = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
            report["found"].append(f"{keep(name, last['data'])}: {told[:300]}")
        save()
    save()
    return 0


def keep(name: str, data: bytes) -> Path:
    """Keep an input that goes wrong, for the tests."""
    place = FOUND / name / f"{hashlib.sha256(data).hexdigest()[:12]}.bin"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return place.relative_to(HERE)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
