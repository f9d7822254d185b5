# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a garbage collection has done so far, counted as it goes; as a line and as a mapping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..reporting import Diff, Tally
from ..runs.report import KEPT_NAMES, Failure, RunReport, printable
from ..settings.units import in_words

# Lines about what stays in the trash; all of it is in the report.
_SHOWN = 20

# Why an object without a row stays.
YOUNG = "young"
SEEN_LATELY = "seen_lately"
# Why an object that was due stays, or one of the trash.
ROW_AGAIN = "row_again"
CHANGED = "changed"
UNDATED = "undated"

# What became of an object, in words of a diff.
_IN_BUCKET = "in the bucket"
_IN_TRASH = "in the trash"


class Report(RunReport):
    """Counts of one collection or undo. In a dry run of a confirmed one they say what would have been done.

    objects: those of Synapse's layout. orphans: of these, those whose media has no row. due: of these, those that are
    old enough, and known to be orphans for long enough. trash: what is in the trash when the run begins; trash_due: of
    it, what has been there long enough. trashed, deleted (without trash) and purged (from the trash) say what was done.
    restored and present are those of an undo: brought back, and in the bucket already.
    """

    after_stop = "Every object is in the bucket or in the trash. Run it again to go on."
    names_all_requests = False

    def __init__(
        self,
        *,
        dry_run: bool = False,
        confirmed: bool = False,
        on_failure: Callable[[Failure], None] | None = None,
    ) -> None:
        super().__init__(dry_run=dry_run, on_failure=on_failure)
        self.confirmed = confirmed
        self.undoes = False
        self.objects = Tally()
        self.orphans = Tally()
        self.due = Tally()
        self.trash = Tally()
        self.trash_due = Tally()
        self.trashed = Tally()
        self.deleted = Tally()
        self.purged = Tally()
        self.restored = Tally()
        self.present = Tally()
        #: Objects of the trash whose media has a row again, and which no equal object replaces.
        self.kept_in_trash: list[str] = []
        self.kept_in_trash_count = 0
        self.sightings_recorded = False
        #: Whether the store deletes only what has a certain ETag; None if it was not asked.
        self.conditional_deletes: bool | None = None
        self.log: str | None = None
        self.planned = False
        self._names: list[tuple[str, str, str | None]] = []

    def note_trashed(self, path: str, size: int) -> None:
        """Counts an object that is in the trash now, or would be; `size` in bytes."""
        self.trashed.add(size)
        self._name(path, _IN_BUCKET, _IN_TRASH)

    def note_deleted(self, path: str, size: int) -> None:
        self.deleted.add(size)
        self._name(path, _IN_BUCKET, None)

    def note_purged(self, path: str, size: int) -> None:
        self.purged.add(size)
        self._name(path, _IN_TRASH, None)

    def note_restored(self, path: str, size: int) -> None:
        self.restored.add(size)
        self._name(path, _IN_TRASH, f"{_IN_TRASH} and {_IN_BUCKET}")

    def keep_in_trash(self, path: str) -> None:
        self.kept_in_trash_count += 1
        if len(self.kept_in_trash) < KEPT_NAMES:
            self.kept_in_trash.append(path)

    def _name(self, path: str, before: str, after: str | None) -> None:
        if len(self._names) < KEPT_NAMES:
            self._names.append((path, before, after))

    @property
    def done(self) -> int:
        """How many objects were moved, deleted or brought back."""
        return self.trashed.files + self.deleted.files + self.purged.files + self.restored.files

    @property
    def changed(self) -> bool:
        return bool(self.done)

    @property
    def percent(self) -> float:
        """The share of orphans among the objects of Synapse's layout."""
        return 100 * self.orphans.files / self.objects.files if self.objects.files else 0.0

    def counts(self) -> dict[str, Any]:
        return {
            "confirmed": self.confirmed,
            "objects": self.objects.as_dict(),
            "orphans": self.orphans.as_dict(),
            "orphans_percent": round(self.percent, 2),
            "due": self.due.as_dict(),
            "trash": self.trash.as_dict(),
            "trash_due": self.trash_due.as_dict(),
            "trashed": self.trashed.as_dict(),
            "deleted": self.deleted.as_dict(),
            "purged": self.purged.as_dict(),
            "restored": self.restored.as_dict(),
            "present": self.present.as_dict(),
            "kept_in_trash": [printable(path) for path in self.kept_in_trash],
            "kept_in_trash_count": self.kept_in_trash_count,
            "sightings_recorded": self.sightings_recorded,
            "conditional_deletes": self.conditional_deletes,
            "log": self.log,
        }

    def diff(self) -> dict[str, str]:
        diff = Diff()
        for path, before, after in self._names:
            diff.add(printable(path), before, after)
        diff.add_uncounted(max(0, self.done - len(self._names)))
        return diff.as_dict()

    def remarks(self) -> list[str]:
        kept = [
            f"{printable(path)} stays in the trash: its media has a row again. Bring it back with --undo, or delete it "
            "by hand if it is in the bucket already."
            for path in self.kept_in_trash[:_SHOWN]
        ]
        more = self.kept_in_trash_count - len(kept)
        return [*kept, *([f"{more} more stay in the trash for the same reason."] if more else []), *super().remarks()]

    def summary_counts(self) -> list[str]:
        would_be = "would be " if self.dry_run else ""
        if self.undoes:
            return [f"{_sum(self.restored)} {would_be}brought back", f"{self.present.files} were in the bucket"]
        counts = [
            f"{_sum(self.orphans)} of {self.objects.files} without a row",
            f"{_sum(self.trash)} in the trash",
        ]
        if not self.confirmed:
            due = f"{_sum(self.due)} due to be collected and {_sum(self.trash_due)} to be deleted from the trash"
            return [*counts, f"{due} with --confirm" if self.due.files or self.trash_due.files else due]
        for name, tally in (("put into the trash", self.trashed), ("deleted", self.deleted)):
            if tally.files or (tally is self.trashed and not self.deleted.files):
                counts.append(f"{_sum(tally)} {would_be}{name}")
        return [*counts, f"{_sum(self.purged)} {would_be}deleted from the trash"]

    def summary_remarks(self) -> list[str]:
        remarks = []
        if self.kept_in_trash_count:
            remarks.append(f"{self.kept_in_trash_count} kept in the trash")
        if self.conditional_deletes is False and not self.dry_run:
            remarks.append(
                "deletes were not conditional (this store does not know If-Match): each was asked for directly before"
            )
        if self.log is not None:
            remarks.append(f"undo with --undo {self.log}")
        return remarks


def _sum(tally: Tally) -> str:
    return f"{tally.files} objects ({in_words(tally.bytes)})"
