"""Run the hostile tests, the slow ones too, and print how many cases of each class were tried, passed and failed.

python tests/hostile/count.py                 everything, also what is fuzzed and the trainings that are killed
python tests/hostile/count.py -k containers   what pytest's options choose
"""

import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent


class Count:
    """A pytest plugin that adds up the cases of tests marked ``hostile``."""

    def __init__(self):
        self.tried, self.failed = Counter(), Counter()
        self.skipped = []

    def pytest_runtest_logreport(self, report):
        properties = dict(report.user_properties)
        name = properties.get("hostile")
        if name is None:
            return
        if report.skipped:
            self.skipped.append(f"{report.nodeid}: {report.longrepr[2] if report.longrepr else ''}")
        elif report.when == "call" or report.failed:
            tried, failed = properties.get("cases") or (1, int(report.failed))
            self.tried[name] += tried
            self.failed[name] += max(failed, int(report.failed))

    def table(self):
        """Yield the lines of a Markdown table, its last line the sums."""
        rows = [(name, n, n - self.failed[name], self.failed[name]) for name, n in sorted(self.tried.items())]
        rows.append(("all", *(sum(row[i] for row in rows) for i in (1, 2, 3))))
        yield "| class | tried | passed | failed |"
        yield "|---|---:|---:|---:|"
        for name, *numbers in rows:
            yield f"| {name} | {' | '.join(map(str, numbers))} |"


def main():
    count = Count()
    tests = [str(HERE.parent / name) for name in ("hostile", "fuzz", "training/test_trainer.py")]
    status = pytest.main(["-q", "-m", "hostile", *tests, *sys.argv[1:]], plugins=[count])
    lines = ["", *count.table(), "", *(f"not tried: {words}" for words in count.skipped)]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
