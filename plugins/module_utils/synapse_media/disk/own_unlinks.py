# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several names of one inode: which of its changes this run made itself, by unlinking another of the names.

An unlink sets the change time of the inode, so each name that is still there looks changed since it was seen. Whether
that was our doing shows in the change times before and after each of our unlinks: they form a chain that anybody
else's change in between breaks.

Two changes within one tick of the file system's clock (some milliseconds) cannot be told apart. On NFS an unlink of a
file that is open becomes a rename and a later removal, so there the other names may count as changed, and wait for the
next run.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from .local_file import Identity, identity_of

_LOCKS = 64
# Inodes a lock: those forgotten first only wait for the next run.
_MOST_INODES = 400
# Change times an inode.
_MOST_CHANGES = 1000


class OwnUnlinks:
    """For all threads of a run. An inode with one name, which is nearly every one, costs neither lock nor memory."""

    def __init__(self) -> None:
        self._parts = [_Part() for dummy in range(_LOCKS)]

    def is_same(self, seen: Identity, now: Identity) -> bool:
        """Whether the file is as it was seen, but for names that this run unlinked. Waits for an unlink under way."""
        if seen == now:
            return True
        if seen[:4] != now[:4]:
            return False
        part = self._part(now)
        with part.lock:
            return part.is_same(seen, now)

    def is_same_file(self, seen: Identity, status: os.stat_result) -> bool:
        """As is_same() of what stat() gives, without a second Identity for a file that is as it was seen."""
        return seen.is_of(status) or self.is_same(seen, identity_of(status))

    @contextmanager
    def changing(self, seen: Identity) -> Iterator[Unlink]:
        """Around the last look at a file with several names and its unlink: nothing else here unlinks or judges it."""
        part = self._part(seen)
        with part.lock:
            yield Unlink(part)

    def _part(self, identity: Identity) -> _Part:
        return self._parts[(identity.inode ^ identity.device) % _LOCKS]


class Unlink:
    """The lock on an inode is held as long as this is used."""

    def __init__(self, part: _Part) -> None:
        self._part = part

    def is_same(self, seen: Identity, now: Identity) -> bool:
        return seen == now or (seen[:4] == now[:4] and self._part.is_same(seen, now))

    def record(self, before: os.stat_result, after: os.stat_result) -> None:
        """The inode as it was right before our unlink and right after it."""
        self._part.record(before, after)


class _Part:
    """What is known of the inodes that share a lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        # By device and inode: the file without its change time, and its change times one after the other.
        self._chains: OrderedDict[tuple[int, int], tuple[Identity, list[int]]] = OrderedDict()

    def is_same(self, seen: Identity, now: Identity) -> bool:
        known = self._chains.get((now.device, now.inode))
        if known is None or known[0] != now._replace(ctime_ns=0):
            return False
        changes = known[1]
        return (
            seen.ctime_ns in changes
            and now.ctime_ns in changes
            and changes.index(seen.ctime_ns) <= changes.index(now.ctime_ns)
        )

    def record(self, before: os.stat_result, after: os.stat_result) -> None:
        seen, now = identity_of(before), identity_of(after)
        key = (seen.device, seen.inode)
        known = self._chains.pop(key, None)
        if after.st_nlink == 0:
            return
        if seen[:4] != now[:4] or after.st_nlink != before.st_nlink - 1:
            # Somebody else was at it in the same moment.
            return
        unchanging = seen._replace(ctime_ns=0)
        if known is None or known[0] != unchanging or known[1][-1] != seen.ctime_ns:
            known = (unchanging, [seen.ctime_ns])
        known[1].append(now.ctime_ns)
        del known[1][:-_MOST_CHANGES]
        self._chains[key] = known
        if len(self._chains) > _MOST_INODES:
            self._chains.popitem(last=False)
