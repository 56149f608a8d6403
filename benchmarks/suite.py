"""What the tests cost: CPU-seconds of each file and of the slowest tests, processes that they start included.

    python benchmarks/suite.py [arguments of pytest]

Wall time depends on what else the machine does; CPU time hardly does. For Linux. It costs what the tests cost:
`-m "not slow"` is about ten CPU-minutes, all of them thirty. Prints a line a file, dearest first, and the thirty
dearest tests.
"""

import os
import resource
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest


def cpu_seconds() -> float:
    """Of this process and of its children, those that live (as the one that tests fork from) with their own."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    ended = sum(usage.ru_utime + usage.ru_stime for usage in spent)
    ticks = 0
    for children in Path("/proc/self/task").glob("*/children"):
        for child in children.read_text().split():
            with suppress(OSError):  # it has just ended
                ticks += sum(map(int, Path(f"/proc/{child}/stat").read_text().rsplit(")")[-1].split()[11:15]))
    return ended + ticks / os.sysconf("SC_CLK_TCK")


class Cost:
    """Adds up what every phase of every test takes; with xdist the workers measure and the controller adds up."""

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()
        self.tests: Counter[str] = Counter()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        report = yield
        now = cpu_seconds()
        report.cpu = now - getattr(self, "last", now)  # an attribute of a report travels from a worker
        self.last = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        spent = getattr(report, "cpu", 0.0)
        self.files[report.nodeid.split("::")[0]] += spent
        self.tests[f"{report.nodeid} {report.when}"] += spent

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section(f"{self.files.total():.0f} CPU-seconds")
        for costs, most in ((self.files, None), (self.tests, 30)):
            for name, spent in costs.most_common(most):
                terminalreporter.write_line(f"{spent:8.2f}  {name}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Cost(), "cost")


if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "-p", "benchmarks.suite", *sys.argv[1:]]))
