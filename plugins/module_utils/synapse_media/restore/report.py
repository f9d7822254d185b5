# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a restore has done so far, counted as it goes; as a line and as a mapping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..reporting import Diff, Tally
from ..settings.units import in_words

# Failures beyond this are counted and told as they happen, but not kept, so that memory stays flat.
KEPT_FAILURES = 10_000
KEPT_NAMES = 1000


class Failure(NamedTuple):
    """A file that failed: its path below the media store, its key, and why."""

    path: str
    key: str
    error: str


class Report:
    """Counts of one restore. In a dry run they say what would have been done.

    selected: files that are to be on the disk. Each ends as restored, present (was there, with the right length, or the
    right content where that was asked for), skipped or failed. missing: those that were not there when the run began.
    by_length counts of the restored those whose content nothing proves: neither row, ETag nor checksum.
    """

    def __init__(self, *, dry_run: bool = False, on_failure: Callable[[Failure], None] | None = None) -> None:
        self.dry_run = dry_run
        self.selected = Tally()
        self.missing = Tally()
        self.restored = Tally()
        self.present = Tally()
        self.by_length = Tally()
        self.skipped: dict[str, Tally] = {}
        self.failed: list[Failure] = []
        self.failures = 0
        # Bytes on their way to the disk, of large files part by part: it tells how far the run is.
        self.received = 0
        # None until it is known.
        self.free_bytes: int | None = None
        self.removed_temporaries = 0
        self.requests: dict[str, int] = {}
        self.database_rows = 0
        self.seconds = 0.0
        self.error: str | None = None
        self.exception: str | None = None
        self.warnings: list[str] = []
        self.names: list[str] = []
        self._on_failure = on_failure

    def restore(self, path: str, size: int, *, proven: bool) -> None:
        """Counts a file that is on the disk now, or would be; `size` in bytes."""
        self.restored.add(size)
        if not proven:
            self.by_length.add(size)
        if len(self.names) < KEPT_NAMES:
            self.names.append(path)

    def skip(self, reason: str, size: int) -> None:
        self.skipped.setdefault(reason, Tally()).add(size)

    def fail(self, path: str, key: str, error: str) -> None:
        failure = Failure(path, key, error)
        self.failures += 1
        if len(self.failed) < KEPT_FAILURES:
            self.failed.append(failure)
        if self._on_failure:
            self._on_failure(failure)

    @property
    def changed(self) -> bool:
        return bool(self.restored.files)

    def as_dict(self) -> dict[str, Any]:
        """As `--json` prints it; "error" is there only where the run was refused or ended early."""
        report: dict[str, Any] = {
            "changed": self.changed,
            "dry_run": self.dry_run,
            "selected": self.selected.as_dict(),
            "missing": self.missing.as_dict(),
            "restored": self.restored.as_dict(),
            "present": self.present.as_dict(),
            "by_length": self.by_length.as_dict(),
            "skipped": {reason: tally.as_dict() for reason, tally in sorted(self.skipped.items())},
            "failed": [failure._asdict() for failure in self.failed],
            "failures": self.failures,
            "free_bytes": self.free_bytes,
            "removed_temporaries": self.removed_temporaries,
            "requests": {name: number for name, number in sorted(self.requests.items()) if number},
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


def diff_of(report: Report) -> dict[str, str]:
    """The first files with their state before and after."""
    diff = Diff()
    for path in report.names:
        diff.add(path if path.isprintable() else ascii(path), "in the bucket", "on disk and in the bucket")
    diff.add_uncounted(max(0, report.restored.files - len(report.names)))
    return diff.as_dict()


def summary(report: Report) -> str:
    """One line for a journal."""
    would_be = "would be " if report.dry_run else ""
    counts = [
        f"{report.restored.files} files ({in_words(report.restored.bytes)}) {would_be}restored",
        f"{report.present.files} were on the disk",
    ]
    if report.by_length.files:
        counts.append(f"{report.by_length.files} of the restored are proven by their length alone")
    counts += [f"{tally.files} left ({reason})" for reason, tally in sorted(report.skipped.items())]
    if report.failures:
        counts.append(f"{report.failures} failed")
    ended = "ended early: " if report.error is not None else ""
    return f"{ended}{', '.join(counts)}; {report.seconds:.1f} s"
