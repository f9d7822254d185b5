# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides for each path what its row, its file and its object mean together."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..database.rows import Row
from ..disk.layout import LOCAL_CONTENT, TRASH_FOLDER, is_media_path
from ..disk.local_file import LocalFile
from ..reporting import Tally
from ..s3.documents import Listed
from ..s3.objects import is_archive_class
from . import counts
from .counts import KINDS, ORIGINALS, Finding
from .sources import Slice

# Why a file would stay if the migrate job ran now; None for one that it would move.
Rule = Callable[[LocalFile, Row], "str | None"]

# The directories of the layout differ in these.
_BY_START = {kind[:8]: kind for kind in KINDS}
_START = 8
# Suspects of one finding and kind that are looked at again at the end. Synapse makes lost thumbnails anew.
MOST_SUSPECTS = 5000
MOST_THUMBNAILS = 250


class Known(NamedTuple):
    """Which of the three were asked about the paths of a slice."""

    rows: bool
    files: bool
    objects: bool


class Suspect(NamedTuple):
    """What looked lost or damaged, and may have been moved by a run of the migrate job meanwhile."""

    finding: str
    kind: str
    path: str
    row: Row | None


class Comparison:
    """Takes slices of the three sources in the order of their paths, and counts.

    `rule` decides what a run would move. `hides` tells whether there may be a file where the walk found none. What has
    no row and is newer than `new_since` (seconds since 1970, and as stores write it) may have a row by now.
    """

    def __init__(self, rule: Rule, hides: Callable[[str], bool], new_since: float, new_since_text: str) -> None:
        self._rule = rule
        self._hides = hides
        self._new_since = new_since
        self._new_since_text = new_since_text
        # The media whose thumbnails the last slice ended in.
        self._directory = ""
        self._directory_row: Row | None = None
        self.findings = {name: Finding() for name in (*counts.FINDINGS, *counts.BESIDE)}
        self.suspects: dict[tuple[str, str], list[Suspect]] = {}
        #: Suspects beyond those that are looked at again; they are counted already.
        self.unconfirmed = 0
        #: What a run would do with each file that has a row, or why the file would stay.
        self.due = Tally()
        self.due_upload = Tally()
        self.due_present = Tally()
        self.due_conflict = Tally()
        self.stays: dict[str, Tally] = {}

    def take(self, objects: Slice[Listed], files: Slice[LocalFile], rows: Slice[Row], known: Known) -> None:
        """The next slices, all up to the same path."""
        row_of = dict(zip(rows.paths, rows.values))
        file_of = dict(zip(files.paths, files.values))
        directories = {path: row for path, row in row_of.items() if path[-1] == "/"}
        for path in directories:
            del row_of[path]
        if self._directory_row is not None:
            directories.setdefault(self._directory, self._directory_row)
        for path, listed in zip(objects.paths, objects.values):
            self._object(path, listed, file_of.pop(path, None), row_of.pop(path, None), directories, known)
        for path, file in file_of.items():
            kind = _BY_START[path[:_START]]
            row = row_of.pop(path, None) or directories.get(path.rpartition("/")[0] + "/")
            self._file(kind, path, file, row, known)
        for path, row in row_of.items():
            self._row(path, row, known)
        if directories:
            self._directory = max(directories)
            self._directory_row = directories[self._directory]

    def _object(
        self,
        path: str,
        listed: Listed,
        file: LocalFile | None,
        row: Row | None,
        directories: dict[str, Row],
        known: Known,
    ) -> None:
        kind = _BY_START.get(path[:_START], "")
        if row is None:
            if not is_media_path(path):
                finding = counts.TRASH if path.startswith(TRASH_FOLDER) else counts.FOREIGN_BUCKET
                self.findings[finding].add_object("", path, listed.size, listed.modified)
                return
            if kind not in ORIGINALS:
                row = directories.get(path.rpartition("/")[0] + "/")
            if row is None and known.rows:
                self._orphans(kind, path, listed, file)
                return
        if row is not None and row.url_cache:
            self.findings[counts.URL_CACHE].add_object(kind, path, listed.size, listed.modified)
            if file is not None:
                self.findings[counts.URL_CACHE].add(kind, path, file.size, file.mtime_ns / 1e9)
            return
        if file is not None:
            finding = counts.EQUAL if file.size == listed.size else counts.DIFFERENT
            if finding == counts.DIFFERENT:
                self.suspect(finding, kind, path, listed.size, row)
            else:
                self.findings[finding].add(kind, path, file.size, file.mtime_ns / 1e9)
            self._count_due(file, row, listed.size)
        elif known.files and not self._hides(path):
            self.findings[counts.BUCKET_ONLY].add_object(kind, path, listed.size, listed.modified)
        else:
            self.findings[counts.UNASKED].add_object(kind, path, listed.size, listed.modified)
        if listed.storage_class not in ("", "STANDARD") and is_archive_class(listed.storage_class):
            self.findings[counts.ARCHIVED].add_object(kind, path, listed.size, listed.modified)
        if (
            row is not None
            and kind in ORIGINALS
            and row.length is not None
            and listed.size != row.length
            and (file is None or file.size == listed.size)
            and (file is not None or (known.files and not self._hides(path)))
        ):
            self.suspect(counts.WRONG_LENGTH, kind, path, listed.size, row)

    def _orphans(self, kind: str, path: str, listed: Listed, file: LocalFile | None) -> None:
        new = listed.modified >= self._new_since_text or (file is not None and file.mtime_ns > self._new_since * 1e9)
        finding = counts.NEW if new else counts.ORPHAN_BUCKET
        self.findings[finding].add_object(kind, path, listed.size, listed.modified)
        if file is not None:
            self._orphan_file(kind, path, file)

    def _orphan_file(self, kind: str, path: str, file: LocalFile) -> None:
        seconds = file.mtime_ns / 1e9
        finding = counts.NEW if seconds > self._new_since else counts.ORPHAN_DISK
        self.findings[finding].add(kind, path, file.size, seconds)

    def _file(self, kind: str, path: str, file: LocalFile, row: Row | None, known: Known) -> None:
        """A file without an object."""
        if row is None and known.rows:
            self._orphan_file(kind, path, file)
            return
        if row is not None and row.url_cache:
            self.findings[counts.URL_CACHE].add(kind, path, file.size, file.mtime_ns / 1e9)
            return
        finding = counts.DISK_ONLY if known.objects else counts.UNASKED
        self.findings[finding].add(kind, path, file.size, file.mtime_ns / 1e9)
        self._count_due(file, row, None)
        if row is not None and known.objects and kind in ORIGINALS and row.length not in (None, file.size):
            self.suspect(counts.WRONG_LENGTH, kind, path, file.size, row)

    def _row(self, path: str, row: Row, known: Known) -> None:
        """A path that a row names, with neither a file nor an object."""
        if row.url_cache:
            return
        kind = _BY_START[path[:_START]]
        original = kind in ORIGINALS
        size = (row.length or 0) if original else 0
        seconds = None if row.last_used_ms is None else row.last_used_ms / 1000
        if not (known.files and known.objects) or self._hides(path):
            self.findings[counts.UNASKED].add(kind, path, size, seconds)
        elif row.length is None and kind == LOCAL_CONTENT:
            self.findings[counts.AWAITED].add(kind, path, 0, seconds)
        else:
            self.suspect(counts.NOWHERE, kind, path, size, row)

    def suspect(self, finding: str, kind: str, path: str, size: int, row: Row | None) -> None:
        """Keeps it for another look at the end; beyond a number of them it is counted at once."""
        kept = self.suspects.setdefault((finding, kind), [])
        if len(kept) < (MOST_SUSPECTS if kind in ORIGINALS else MOST_THUMBNAILS):
            kept.append(Suspect(finding, kind, path, row))
            return
        self.unconfirmed += 1
        seconds = None if row is None or row.last_used_ms is None else row.last_used_ms / 1000
        self.findings[finding].add(kind, path, size, seconds)

    def _count_due(self, file: LocalFile, row: Row | None, object_size: int | None) -> None:
        if row is None:
            return
        reason = self._rule(file, row)
        if reason is not None:
            tally = self.stays.get(reason)
            if tally is None:
                tally = self.stays[reason] = Tally()
            tally.add(file.size)
            return
        self.due.add(file.size)
        if object_size is None:
            self.due_upload.add(file.size)
        elif object_size == file.size:
            self.due_present.add(file.size)
        else:
            self.due_conflict.add(file.size)
