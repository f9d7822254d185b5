# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files are left on disk although they could be moved, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from ..disk.layout import REMOTE
from ..disk.local_file import LocalFile

if TYPE_CHECKING:
    from ..database.rows import Row

# Why a file stays.
NOT_REMOTE = "remote"
ORPHAN = "orphan"
URL_CACHE = "url_cache"
RECENT = "recent"
GRACE = "grace"


class Rules(NamedTuple):
    """What the operator asked for; `older_than` is about the row's last use, `grace` about the file's last change."""

    older_than: timedelta
    grace: timedelta
    store_remote: bool


def reason_to_leave(file: LocalFile, row: Row | None, rules: Rules, now: float) -> str | None:
    """None where the file is to be moved; `now` in seconds as time.time() gives it."""
    if not rules.store_remote and file.media.kind == REMOTE:
        return NOT_REMOTE
    if row is None:
        return ORPHAN
    if row.url_cache:
        return URL_CACHE
    # A row without any time is never old: upstream's comparison in SQL takes none of those either.
    if row.last_used_ms is None or row.last_used_ms >= (now - rules.older_than.total_seconds()) * 1000:
        return RECENT
    # Also true of a file from the future, whose age nobody knows.
    if file.mtime_ns > (now - rules.grace.total_seconds()) * 1e9:
        return GRACE
    return None
