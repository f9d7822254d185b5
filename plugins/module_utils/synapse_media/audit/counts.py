# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an audit counts: files, bytes, the oldest and a few examples of each finding."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Any

from ..disk.layout import LOCAL_CONTENT, LOCAL_THUMBNAILS, REMOTE_CONTENT, REMOTE_THUMBNAILS
from ..s3.times import seconds_of

KINDS = (LOCAL_CONTENT, LOCAL_THUMBNAILS, REMOTE_CONTENT, REMOTE_THUMBNAILS)
ORIGINALS = (LOCAL_CONTENT, REMOTE_CONTENT)
EXAMPLES = 5

# Where the files of media with a row are. Each file is in exactly one of these.
DISK_ONLY = "disk_only"
EQUAL = "both_equal"
DIFFERENT = "both_different"
BUCKET_ONLY = "bucket_only"
NOWHERE = "nowhere"
# A row that Synapse made before the content came.
AWAITED = "awaited"
# One of the three could not be asked about it.
UNASKED = "not_asked"
# What has no row.
ORPHAN_DISK = "orphans_on_disk"
ORPHAN_BUCKET = "orphans_in_bucket"
# Without a row, and so new that its row may be newer than the look at the database.
NEW = "new"
URL_CACHE = "url_cache"
# Not of Synapse's layout; what of the disk is not, the walk leaves aside.
FOREIGN_BUCKET = "foreign_in_bucket"
# What garbage collection has put aside.
TRASH = "trash"
FINDINGS = (
    DISK_ONLY,
    EQUAL,
    DIFFERENT,
    BUCKET_ONLY,
    NOWHERE,
    AWAITED,
    UNASKED,
    ORPHAN_DISK,
    ORPHAN_BUCKET,
    NEW,
    URL_CACHE,
    FOREIGN_BUCKET,
    TRASH,
)
# Counted beside the above: no copy has the length that the row says; the object has to be restored before it is read.
WRONG_LENGTH = "wrong_length"
ARCHIVED = "archived"
BESIDE = (WRONG_LENGTH, ARCHIVED)


class Finding:
    """Files of one finding, by the directory of Synapse's layout that they belong to ("" for none of them)."""

    __slots__ = ("bytes", "examples", "files", "kinds", "oldest", "oldest_text")

    def __init__(self) -> None:
        self.files = 0
        self.bytes = 0
        # Seconds since 1970, and the same as a store writes it; whichever is earlier is the oldest.
        self.oldest = math.inf
        self.oldest_text = ""
        self.examples: list[str] = []
        self.kinds: dict[str, list[int]] = {}

    def add(self, kind: str, path: str, size: int, seconds: float | None) -> None:
        """Counts one file; `seconds` is its time since 1970, None if it is not known."""
        if seconds is not None and seconds < self.oldest:
            self.oldest = seconds
        self._count(kind, path, size)

    def add_object(self, kind: str, path: str, size: int, modified: str) -> None:
        """Counts one object; `modified` is the store's text. Texts of one store compare as their times do."""
        if modified and (modified < self.oldest_text or not self.oldest_text):
            self.oldest_text = modified
        self._count(kind, path, size)

    def _count(self, kind: str, path: str, size: int) -> None:
        self.files += 1
        self.bytes += size
        counted = self.kinds.get(kind)
        if counted is None:
            self.kinds[kind] = [1, size]
        else:
            counted[0] += 1
            counted[1] += size
        if len(self.examples) < EXAMPLES:
            self.examples.append(path)

    def files_of(self, *kinds: str) -> int:
        """How many files are of these kinds."""
        return sum(self.kinds[kind][0] for kind in kinds if kind in self.kinds)

    def as_dict(self) -> dict[str, Any]:
        times = [time for time in (self.oldest, seconds_of(self.oldest_text)) if time is not None and time < math.inf]
        kinds = {kind: {"files": files, "bytes": size} for kind, (files, size) in sorted(self.kinds.items())}
        return {
            "files": self.files,
            "bytes": self.bytes,
            "oldest": date_of(min(times)) if times else None,
            "examples": [printable(path) for path in self.examples],
            "kinds": kinds,
        }


def date_of(seconds: float) -> str | None:
    """Such as 2026-01-31T12:00:00Z; None for a time that no calendar has."""
    try:
        return datetime.fromtimestamp(int(seconds), tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return None


def printable(path: str) -> str:
    """Safe on a terminal and in JSON."""
    return path if path.isprintable() else ascii(path)[1:-1]
