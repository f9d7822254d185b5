# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run has done so far, counted as it goes: what the reports of all runs have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

from ..reporting import Tally

# Failures beyond this are counted and reported as they happen, but not kept, so that memory stays flat.
KEPT_FAILURES = 10_000
KEPT_NAMES = 1000


class Failure(NamedTuple):
    """A file that failed: its path below the media store, its key, and why."""

    path: str
    key: str
    error: str


class RunReport(ABC):
    """Counts of one run. In a dry run they say what would have been done. `on_failure` hears of each failure."""

    # What follows "Stopped by SIGTERM." in `error`.
    after_stop = "Run it again to go on."
    # Whether the kinds of requests that were not sent are in the mapping too, as 0.
    names_all_requests = True

    def __init__(self, *, dry_run: bool, on_failure: Callable[[Failure], None] | None) -> None:
        self.dry_run = dry_run
        self.skipped: dict[str, Tally] = {}
        self.failed: list[Failure] = []
        self.failures = 0
        self.requests: dict[str, int] = {}
        self.database_rows = 0
        self.seconds = 0.0
        self.error: str | None = None
        # The traceback of a bug.
        self.exception: str | None = None
        # What went wrong beside the files, such as metrics that could not be written.
        self.warnings: list[str] = []
        self._on_failure = on_failure

    def skip(self, reason: str, size: int) -> None:
        """Counts a file that is left where it is, for a reason."""
        tally = self.skipped.get(reason)
        if tally is None:
            tally = self.skipped[reason] = Tally()
        tally.add(size)

    def fail(self, path: str, key: str, error: str) -> None:
        failure = Failure(path, key, error)
        self.failures += 1
        if len(self.failed) < KEPT_FAILURES:
            self.failed.append(failure)
        if self._on_failure:
            self._on_failure(failure)

    @property
    @abstractmethod
    def changed(self) -> bool:
        """Whether the run has changed the disk or the bucket, or in a dry run would have."""

    @abstractmethod
    def counts(self) -> dict[str, Any]:
        """What this kind of run counts, by name."""

    @abstractmethod
    def summary_counts(self) -> list[str]:
        """The counts of the summary but for what was left and what failed."""

    @abstractmethod
    def diff(self) -> dict[str, str]:
        """The first files with their state before and after, as Ansible's diff mode shows it."""

    def as_dict(self) -> dict[str, Any]:
        """As `--json` prints it; "error" is there only where the run was refused or ended early."""
        report: dict[str, Any] = {
            "changed": self.changed,
            "dry_run": self.dry_run,
            **self.counts(),
            "skipped": {reason: tally.as_dict() for reason, tally in sorted(self.skipped.items())},
            "failed": [failure._asdict() for failure in self.failed],
            "failures": self.failures,
            "requests": {
                name: number for name, number in sorted(self.requests.items()) if number or self.names_all_requests
            },
            "database_rows": self.database_rows,
            "seconds": round(self.seconds, 3),
        }
        if self.warnings:
            report["warnings"] = list(self.warnings)
        if self.error is not None:
            report["error"] = self.error
        if self.exception is not None:
            report["exception"] = self.exception
        return report

    def remarks(self) -> list[str]:
        """What the summary leaves out: warnings, and why the run ended early."""
        return [*self.warnings, *([self.error] if self.error is not None else [])]

    def summary(self) -> str:
        """One line for a journal."""
        counts = self.summary_counts()
        counts += [f"{tally.files} left ({reason})" for reason, tally in sorted(self.skipped.items())]
        if self.failures:
            counts.append(f"{self.failures} failed")
        counts += self.summary_remarks()
        ended = "ended early: " if self.error is not None else ""
        return f"{ended}{', '.join(counts)}; {self.seconds:.1f} s"

    def summary_remarks(self) -> list[str]:
        """What the summary says last."""
        return []


def printable(path: str) -> str:
    """A name may hold line breaks and whatever else would make a mess of a terminal or a diff."""
    return path if path.isprintable() else ascii(path)


def failure_line(failure: Failure) -> str:
    return f"{printable(failure.path)}: {failure.error}"
