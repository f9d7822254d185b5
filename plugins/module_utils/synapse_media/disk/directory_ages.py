# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How old directories are apart from what this run changed in them.

Every unlink and rmdir sets the time of its directory anew. What the time was before, and what it is after, is
remembered: a directory whose time is still the one that we left was changed by nobody else since.

Two changes within one tick of the file system's clock (some milliseconds) cannot be told apart.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

# What is forgotten counts as young, and waits for the next run.
_MOST_DIRECTORIES = 20_000


class DirectoryAges:
    """For all threads of a run; paths are relative to the media store. `grace` is in seconds."""

    def __init__(self, grace: float) -> None:
        self._grace_ns = int(grace * 1e9)
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Times] = OrderedDict()

    def change(self, path: str, descriptor: int, function: Callable[[], None]) -> None:
        """Calls what unlinks or removes one name in the directory at a path, which is open; raises what that raises."""
        if "/" not in path:
            # The first level is never removed, so its age matters to nobody.
            function()
            return
        times = self._times(path)
        with times.lock:
            before = os.fstat(descriptor)
            if times.inode != before.st_ino or times.after_ns != before.st_mtime_ns:
                times.inode = before.st_ino
                times.before_ns = times.after_ns = before.st_mtime_ns
            function()
            try:
                times.after_ns = os.fstat(descriptor).st_mtime_ns
            except OSError:
                # What was done is done; the directory counts as young.
                return

    def rmdir(self, path: str, name: bytes, parent: int) -> None:
        """Removes the empty directory at a path, a name in the open directory above. Raises what os.rmdir() raises."""
        times = self._times(path)
        # Held meanwhile: what somebody makes there right afterwards may get the same inode and, within the same tick,
        # the same time. Locks are taken from below to above.
        with times.lock:
            self.change(path.rpartition("/")[0], parent, lambda: os.rmdir(name, dir_fd=parent))
            times.inode = -1
        with self._lock:
            if self._known.get(path) is times:
                del self._known[path]

    def is_old(self, path: str, status: os.stat_result) -> bool:
        """Whether nobody else changed the directory within the grace period. One from the future is not old."""
        with self._lock:
            times = self._known.get(path)
        changed_ns = status.st_mtime_ns
        if times is not None:
            with times.lock:
                if times.inode == status.st_ino and times.after_ns == changed_ns:
                    changed_ns = times.before_ns
        return changed_ns <= time.time_ns() - self._grace_ns

    def _times(self, path: str) -> _Times:
        with self._lock:
            times = self._known.get(path)
            if times is not None:
                self._known.move_to_end(path)
                return times
            times = self._known[path] = _Times()
            if len(self._known) > _MOST_DIRECTORIES:
                self._known.popitem(last=False)
            return times


class _Times:
    """Modification times of one directory before our first change in it and after our last, in nanoseconds."""

    __slots__ = ("after_ns", "before_ns", "inode", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inode = -1
        self.before_ns = 0
        self.after_ns = 0
