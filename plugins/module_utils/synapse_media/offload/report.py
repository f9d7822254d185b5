# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run has done so far, counted as it goes; as a line, as a mapping, and as a diff."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..reporting import Diff, Tally
from ..settings.units import in_words

UPLOADED = "uploaded"
VERIFIED = "verified"
REPAIRED = "repaired"
DELETED = "deleted"

# Failures beyond this are counted and reported as they happen, but not kept, so that memory stays flat.
KEPT_FAILURES = 10_000
KEPT_NAMES = 1000


class Failure(NamedTuple):
    """A file that failed: its path below the media store, its key, and why."""

    path: str
    key: str
    error: str


class Report:
    """Counts of one run. In a dry run they say what would have been done.

    scanned: every file the walk yields, of this shard alone. Each of them ends as one of uploaded (put where nothing
    was), repaired (put over an object that differed), verified (was in the bucket and proven), skipped or failed.
    deleted counts besides, what was unlinked. `on_failure` hears of each failure as it happens.
    """

    def __init__(
        self,
        *,
        dry_run: bool = False,
        keep_names: bool = False,
        on_failure: Callable[[Failure], None] | None = None,
    ) -> None:
        self.dry_run = dry_run
        self.scanned = Tally()
        self.uploaded = Tally()
        self.verified = Tally()
        self.repaired = Tally()
        self.deleted = Tally()
        # What the store said it took, found there since or not: it tells how far the run is, and that a run which is
        # stopped has changed the bucket. Bytes of a large file count part by part, the file itself at its end.
        self.sent = Tally()
        # Uploads that were on their way when the run ended early: they may have arrived.
        self.unanswered = 0
        # Empty directories that were removed, those of earlier runs too.
        self.removed_directories = 0
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
        # What was moved, by path, where that was asked for; of each file everything that was done with it.
        self.names: dict[str, list[str]] = {}
        self._keep_names = keep_names
        self._on_failure = on_failure

    def done(self, outcome: str, path: str, size: int) -> None:
        """Counts a file under one of UPLOADED, VERIFIED, REPAIRED or DELETED; `size` is in bytes."""
        tally: Tally = getattr(self, outcome)
        tally.add(size)
        if not self._keep_names or outcome == VERIFIED:
            return
        if path in self.names:
            self.names[path].append(outcome)
        elif len(self.names) < KEPT_NAMES:
            self.names[path] = [outcome]

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
    def changed(self) -> bool:
        return any(tally.files for tally in (self.sent, self.uploaded, self.repaired, self.deleted))

    @property
    def handled(self) -> int:
        """Files that are finished, or that the store said it took."""
        moved = max(self.sent.files, self.uploaded.files + self.repaired.files)
        left = self.failures + sum(tally.files for tally in self.skipped.values())
        return moved + self.verified.files + left

    @property
    def moved_bytes(self) -> int:
        return max(self.sent.bytes, self.uploaded.bytes + self.repaired.bytes)

    def as_dict(self) -> dict[str, Any]:
        """As `--json` prints it; "error" and "unanswered" are there only where the run was ended early."""
        report: dict[str, Any] = {
            "changed": self.changed,
            "dry_run": self.dry_run,
            "scanned": self.scanned.as_dict(),
            "uploaded": self.uploaded.as_dict(),
            "verified": self.verified.as_dict(),
            "repaired": self.repaired.as_dict(),
            "deleted": self.deleted.as_dict(),
            "skipped": {reason: tally.as_dict() for reason, tally in sorted(self.skipped.items())},
            "failed": [failure._asdict() for failure in self.failed],
            "failures": self.failures,
            "removed_directories": self.removed_directories,
            "requests": dict(sorted(self.requests.items())),
            "database_rows": self.database_rows,
            "seconds": round(self.seconds, 3),
        }
        if self.unanswered:
            report["unanswered"] = self.unanswered
        if self.warnings:
            report["warnings"] = list(self.warnings)
        if self.error is not None:
            report["error"] = self.error
        if self.exception is not None:
            report["exception"] = self.exception
        return report


def diff_of(report: Report) -> dict[str, str]:
    """The first files with their state before and after, of a report that has kept names."""
    diff = Diff()
    for path, outcomes in report.names.items():
        name = path if path.isprintable() else ascii(path)
        if UPLOADED in outcomes:
            before = "on disk"
        elif REPAIRED in outcomes:
            before = "on disk, and another content in the bucket"
        else:
            before = "on disk and in the bucket"
        diff.add(name, before, "in the bucket" if DELETED in outcomes else "on disk and in the bucket")
    # Names are kept of the first files only. A file that was uploaded and deleted counts once.
    moved = max(report.uploaded.files + report.repaired.files, report.deleted.files)
    diff.add_uncounted(max(0, moved - len(report.names)))
    return diff.as_dict()


def remarks(report: Report) -> list[str]:
    """What the summary leaves out: warnings, and why the run ended early."""
    return [*report.warnings, *([report.error] if report.error is not None else [])]


def summary(report: Report) -> str:
    """One line for a journal."""
    would_be = "would be " if report.dry_run else ""
    counts = [
        f"{tally.files} files ({in_words(tally.bytes)}) {would_be}{name}"
        for name, tally in (
            ("uploaded", report.uploaded),
            ("uploaded again over an object that differed", report.repaired),
            ("deleted", report.deleted),
        )
        if tally.files or name != "uploaded again over an object that differed"
    ]
    counts.append(f"{report.verified.files} were in the bucket")
    counts += [f"{tally.files} left ({reason})" for reason, tally in sorted(report.skipped.items())]
    if report.failures:
        counts.append(f"{report.failures} failed")
    if report.unanswered:
        counts.append(f"up to {report.unanswered} uploads were under way, and the next run finds out what has arrived")
    ended = "ended early: " if report.error is not None else ""
    return f"{ended}{', '.join(counts)}; {report.seconds:.1f} s"
