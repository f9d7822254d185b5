# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run has done so far, counted as it goes; as a line, as a mapping, and as a diff."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..reporting import Diff, Tally
from ..runs.report import KEPT_NAMES, Failure, RunReport, printable
from ..settings.units import in_words

UPLOADED = "uploaded"
VERIFIED = "verified"
REPAIRED = "repaired"
DELETED = "deleted"


class Report(RunReport):
    """Counts of one run. In a dry run they say what would have been done.

    scanned: every file the walk yields, of this shard alone. Each of them ends as one of uploaded (put where nothing
    was), repaired (put over an object that differed), verified (was in the bucket and proven), skipped or failed.
    deleted counts besides, what was unlinked.
    """

    def __init__(
        self,
        *,
        dry_run: bool = False,
        keep_names: bool = False,
        on_failure: Callable[[Failure], None] | None = None,
    ) -> None:
        super().__init__(dry_run=dry_run, on_failure=on_failure)
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
        # Why files were to be moved, by setting, if anything but their age can be the reason.
        self.selected: dict[str, Tally] = {}
        # Files that are in the bucket and stay on the disk until they have been there for min_bucket_age; None if that
        # is not set. Each counts as uploaded, repaired or verified besides.
        self.kept: Tally | None = None
        self.min_bucket_age = ""
        # Files that were counted before the run for local_cache_size and min_free.
        self.counted_before = 0
        # Empty directories that were removed, those of earlier runs too.
        self.removed_directories = 0
        # What was moved, by path, where that was asked for; of each file everything that was done with it.
        self.names: dict[str, list[str]] = {}
        self._keep_names = keep_names

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

    def counts(self) -> dict[str, Any]:
        counts: dict[str, Any] = {
            "scanned": self.scanned.as_dict(),
            "uploaded": self.uploaded.as_dict(),
            "verified": self.verified.as_dict(),
            "repaired": self.repaired.as_dict(),
            "deleted": self.deleted.as_dict(),
            "removed_directories": self.removed_directories,
        }
        if self.unanswered:
            counts["unanswered"] = self.unanswered
        if self.selected:
            counts["selected"] = {setting: tally.as_dict() for setting, tally in self.selected.items()}
        if self.kept is not None:
            counts["kept"] = self.kept.as_dict()
        return counts

    def diff(self) -> dict[str, str]:
        """Of a report that has kept names."""
        diff = Diff()
        for path, outcomes in self.names.items():
            if UPLOADED in outcomes:
                before = "on disk"
            elif REPAIRED in outcomes:
                before = "on disk, and another content in the bucket"
            else:
                before = "on disk and in the bucket"
            diff.add(printable(path), before, "in the bucket" if DELETED in outcomes else "on disk and in the bucket")
        # Names are kept of the first files only. A file that was uploaded and deleted counts once.
        moved = max(self.uploaded.files + self.repaired.files, self.deleted.files)
        diff.add_uncounted(max(0, moved - len(self.names)))
        return diff.as_dict()

    def summary_counts(self) -> list[str]:
        would_be = "would be " if self.dry_run else ""
        counts = [
            f"{tally.files} files ({in_words(tally.bytes)}) {would_be}{name}"
            for name, tally in (
                ("uploaded", self.uploaded),
                ("uploaded again over an object that differed", self.repaired),
                ("deleted", self.deleted),
            )
            if tally.files or name != "uploaded again over an object that differed"
        ]
        counts.append(f"{self.verified.files} were in the bucket")
        counts += [
            f"{tally.files} ({in_words(tally.bytes)}) selected by {setting}" for setting, tally in self.selected.items()
        ]
        if self.kept is not None:
            counts.append(self.kept_in_words())
        return counts

    def kept_in_words(self) -> str:
        """How many files stay for now, and why."""
        kept = self.kept or Tally()
        return f"{kept.files} ({in_words(kept.bytes)}) kept for now (in the bucket for less than {self.min_bucket_age})"

    def summary_remarks(self) -> list[str]:
        if not self.unanswered:
            return []
        return [f"up to {self.unanswered} uploads were under way, and the next run finds out what has arrived"]
