# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Selects the files to move: walks the media store, looks up their rows and applies the rules, window by window."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from ..database.rows import Row, Rows
from ..disk.layout import REMOTE, Media
from ..disk.local_file import LocalFile
from ..disk.walk import Left, entries
from ..reporting import Tally
from .last_use import rank_of
from .settings import LOCAL_CACHE_SIZE, MIN_FREE, OLDER_THAN, Shard

# Files a window: as many as memory holds and one statement asks the database about.
WINDOW = 2000
# The first window is smaller, so that uploads begin soon. They still fill the page that confirms them.
_FIRST_WINDOW = 1000
# What else a window may hold: empty directories, and what is left where it is.
_MOST_OTHERS = 5000
# Why a file stays.
NOT_REMOTE = "remote"
ORPHAN = "orphan"
URL_CACHE = "url_cache"
RECENT = "recent"
GRACE = "grace"


class Rules(NamedTuple):
    """What the operator asked for; `older_than` is about the row's last use, `grace` about the file's last change.

    Media of a rank (last_use.rank_of) below one of the cutoffs is moved even if it was used since `older_than`:
    `size_cutoff` is there to keep local_cache_size, `free_cutoff` to keep min_free.
    """

    older_than: timedelta
    grace: timedelta
    store_remote: bool
    size_cutoff: int = 0
    free_cutoff: int = 0

    def is_old(self, last_used_ms: int, now: float) -> bool:
        """Whether the media is moved because of `older_than`; `now` in seconds as time.time() gives it."""
        return last_used_ms < (now - self.older_than.total_seconds()) * 1000


def reason_to_leave(file: LocalFile, row: Row | None, rules: Rules, now: float) -> str | None:
    """None if the file is to be moved; `now` in seconds as time.time() gives it."""
    if not rules.store_remote and file.media.kind == REMOTE:
        return NOT_REMOTE
    if row is None:
        return ORPHAN
    if row.url_cache:
        return URL_CACHE
    # A row without any time is never old: upstream's comparison in SQL takes none of those either.
    if row.last_used_ms is None:
        return RECENT
    if not rules.is_old(row.last_used_ms, now):
        cutoff = max(rules.size_cutoff, rules.free_cutoff)
        if not cutoff or rank_of(file.media, row.last_used_ms) >= cutoff:
            return RECENT
    # Also true of a file whose time lies in the future.
    if file.mtime_ns > (now - rules.grace.total_seconds()) * 1e9:
        return GRACE
    return None


class Candidate(NamedTuple):
    """A file that may go, with what Synapse's database says of its media."""

    file: LocalFile
    row: Row


def selected_by(candidate: Candidate, rules: Rules, now: float) -> str:
    """The setting because of which a file is moved; the first in this order if there are several."""
    last_used_ms = candidate.row.last_used_ms
    if last_used_ms is None or rules.is_old(last_used_ms, now):
        return OLDER_THAN
    return LOCAL_CACHE_SIZE if rank_of(candidate.file.media, last_used_ms) < rules.size_cutoff else MIN_FREE


@dataclass
class Window:
    """The next files in the order of their keys: those that may go, and why the others stay."""

    candidates: list[Candidate] = field(default_factory=list)
    scanned: Tally = field(default_factory=Tally)
    left: list[tuple[str, str, int]] = field(default_factory=list)
    #: Paths of directories without entries, of this shard; what changed since must not be removed.
    empty_directories: list[str] = field(default_factory=list)


class Windows:
    """Reads one window after the other; every call blocks, on the disk and on the database."""

    def __init__(self, root: str, rows: Rows, rules: Rules, shard: Shard, now: float, *, most_threads: int = 4) -> None:
        """At most `most_threads` threads read ahead if opens are slow."""
        self._rows = rows
        self._rules = rules
        self._now = now
        self._size = _FIRST_WINDOW
        self._owns = shard.owns if shard.count > 1 else None
        self._entries = entries(root, most_threads)

    def next(self) -> Window | None:
        """The next window, or None after the last. Raises MediaError if the database cannot be read."""
        files, window = self._read()
        if not files:
            return window if window.left or window.empty_directories else None
        rows = self._rows.look_up(list({file.media for file in files}))
        for file in files:
            window.scanned.add(file.size)
            row = rows.get(file.media)
            reason = reason_to_leave(file, row, self._rules, self._now)
            if reason is not None:
                window.left.append((reason, file.path, file.size))
            elif row is not None:
                window.candidates.append(Candidate(file, row))
        return window

    def close(self) -> None:
        """Stops reading ahead. Not to be called while next() runs in another thread."""
        self._entries.close()

    def _read(self) -> tuple[list[LocalFile], Window]:
        files: list[LocalFile] = []
        window = Window()
        left, empty, owns = window.left, window.empty_directories, self._owns
        for entry in self._entries:
            if isinstance(entry, LocalFile):
                if owns is None or owns(entry.media):
                    files.append(entry)
                    if len(files) >= self._size:
                        break
                continue
            if isinstance(entry, Left):
                left.append(entry)
            # A directory belongs to no media, so its path decides which shard it is in.
            elif owns is None or owns(Media("", "", entry.path)):
                empty.append(entry.path)
            if len(left) + len(empty) >= _MOST_OTHERS:
                break
        self._size = min(2 * self._size, WINDOW)
        return files, window
