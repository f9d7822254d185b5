# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a restore has done so far, counted as it goes; as a line and as a mapping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..reporting import Diff, Tally
from ..runs.report import KEPT_NAMES, Failure, RunReport, printable
from ..settings.units import in_words


class Report(RunReport):
    """Counts of one restore. In a dry run they say what would have been done.

    selected: files that are to be on the disk. Each ends as restored, present (was there, with the right length, or the
    right content where that was asked for), skipped or failed. missing: those that were not there when the run began.
    by_length counts of the restored those whose content nothing proves: neither row, ETag nor checksum.
    """

    after_stop = "Every file on the disk is whole. Run it again to go on."
    # A restore has no use for most.
    names_all_requests = False

    def __init__(self, *, dry_run: bool = False, on_failure: Callable[[Failure], None] | None = None) -> None:
        super().__init__(dry_run=dry_run, on_failure=on_failure)
        self.selected = Tally()
        self.missing = Tally()
        self.restored = Tally()
        self.present = Tally()
        self.by_length = Tally()
        # Bytes on their way to the disk, of large files part by part: it tells how far the run is.
        self.received = 0
        # None until it is known.
        self.free_bytes: int | None = None
        self.removed_temporaries = 0
        self.names: list[str] = []

    def restore(self, path: str, size: int, *, proven: bool) -> None:
        """Counts a file that is on the disk now, or would be; `size` in bytes."""
        self.restored.add(size)
        if not proven:
            self.by_length.add(size)
        if len(self.names) < KEPT_NAMES:
            self.names.append(path)

    @property
    def changed(self) -> bool:
        return bool(self.restored.files)

    def counts(self) -> dict[str, Any]:
        return {
            "selected": self.selected.as_dict(),
            "missing": self.missing.as_dict(),
            "restored": self.restored.as_dict(),
            "present": self.present.as_dict(),
            "by_length": self.by_length.as_dict(),
            "free_bytes": self.free_bytes,
            "removed_temporaries": self.removed_temporaries,
        }

    def diff(self) -> dict[str, str]:
        diff = Diff()
        for path in self.names:
            diff.add(printable(path), "in the bucket", "on disk and in the bucket")
        diff.add_uncounted(max(0, self.restored.files - len(self.names)))
        return diff.as_dict()

    def summary_counts(self) -> list[str]:
        would_be = "would be " if self.dry_run else ""
        counts = [
            f"{self.restored.files} files ({in_words(self.restored.bytes)}) {would_be}restored",
            f"{self.present.files} were on the disk",
        ]
        if self.by_length.files:
            counts.append(f"{self.by_length.files} of the restored are proven by their length alone")
        return counts
