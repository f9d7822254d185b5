# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directories of a tree, read in order; where opens are slow, several threads read the next ones in advance.

The order of the results does not depend on the threads. On a fast file system there are none, and each directory is
read in its turn.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

from .pace import FileSystemPace

T = TypeVar("T")

# Threads are used where an open takes more seconds than this; a local disk with warm caches takes a tenth of it.
_SLOW = 200e-6
# How many directories and entries are read ahead at most; threads continue where a quarter of that is free.
_MOST_AHEAD = 10_000
# How many entries of one directory are read ahead. The rest is read in its turn.
_MOST_OF_ONE = 1000


class Directory(Generic[T]):
    """One directory of the tree, or what has replaced it. Its parent's descriptor is open while this is read."""

    # Attributes of the class until they get another value: most directories need few of them.

    #: Its subdirectories in order, if it has any; then the descriptor is open.
    names: list[str] | None = None
    descriptor = -1
    # How many of the names were taken, and, if there are threads, how many of those directories are being read.
    _position = 0
    reading = 0
    # Those taken by threads, in order, that the walk has not reached yet.
    children: deque[Directory[T]] | None = None
    is_ahead = False
    is_read = False
    entries: Sequence[T] = ()
    rest: Iterator[T] | None = None
    error: BaseException | None = None
    # Entries that were read ahead, and one for the directory itself.
    count = 1
    #: For read(): what it needs of this directory when it reads a subdirectory.
    context: Any = None

    def __init__(self, parent: Directory[T] | None, name: str, path: str) -> None:
        self.parent = parent
        self.name = name
        #: From the top of the tree; empty for the top itself.
        self.path = path

    def next_path(self) -> str | None:
        """The path of the first subdirectory that was not taken."""
        if self.names is None or self._position >= len(self.names):
            return None
        name = self.names[self._position]
        return f"{self.path}/{name}" if self.path else name

    def take(self) -> Directory[T] | None:
        """Take the first subdirectory that was not taken."""
        names, position = self.names, self._position
        if names is None or position >= len(names):
            return None
        self._position = position + 1
        name = names[position]
        return Directory(self, name, f"{self.path}/{name}" if self.path else name)

    def released(self) -> int:
        """Return the descriptor to close if it is no longer needed, else -1."""
        if self.reading or (self.names is not None and self._position < len(self.names)):
            return -1
        descriptor, self.descriptor = self.descriptor, -1
        return descriptor


class ReadAhead(Generic[T]):
    """`read` yields the entries of a directory in order; as a generator it closes what it has opened.

    If there are subdirectories, it sets `names` and `descriptor`, and leaves the latter open. It is called in several
    threads at once, for different directories, and notes in `pace` how long it took to open one.
    """

    def __init__(self, read: Callable[[Directory[T]], Iterable[T]], pace: FileSystemPace) -> None:
        self._read = read
        self._pace = pace
        # Reentrant, because the garbage collector may close an abandoned walk at any point.
        self._lock = threading.RLock()
        self._something_to_read = threading.Condition(self._lock)
        self._awaited_is_read = threading.Condition(self._lock)
        # While there are threads: directories with names that were not taken, sorted by the path of the first one.
        self._untaken: list[tuple[str, Directory[T]]] = []
        self._awaited: Directory[T] | None = None
        self._ahead = 0
        # Only the walk itself increases it.
        self._threads = 0
        self._idle = 0
        self._closed = False

    def walk(self, top: Directory[T]) -> Iterator[T]:
        """Yield the entries of the tree in order. `top` has its names and a descriptor, which is closed at the end."""
        stack = [top]
        try:
            while stack:
                parent = stack[-1]
                if self._pace.latency > _SLOW and self._threads < self._pace.threads:
                    self._start_threads(stack)
                # Threads end by themselves and are started only here, so without any nothing needs a lock.
                alone = not self._threads
                directory = parent.take() if alone and not parent.children else self._next_below(parent)
                if directory is None:
                    _close(stack.pop().released())
                    continue
                if directory.is_ahead:
                    yield from self._wait_for(directory)
                elif alone:
                    yield from self._read(directory)
                else:
                    try:
                        yield from self._read(directory)
                    finally:
                        self._was_read(parent, directory)
                if directory.names is not None:
                    stack.append(directory)
        finally:
            self._close(stack)

    def _next_below(self, parent: Directory[T]) -> Directory[T] | None:
        with self._lock:
            return parent.children.popleft() if parent.children else self._take(parent)

    def _was_read(self, parent: Directory[T], directory: Directory[T]) -> None:
        """Record a directory that the walk itself has read while there are threads."""
        with self._lock:
            parent.reading -= 1
            descriptor = parent.released()
            self._offer(directory)
        _close(descriptor)

    def _wait_for(self, directory: Directory[T]) -> Iterator[T]:
        with self._lock:
            self._awaited = directory
            while not directory.is_read:
                self._awaited_is_read.wait()
            self._awaited = None
            entries, rest = directory.entries, directory.rest
            directory.entries, directory.rest = (), None
            was_full = self._is_full()
            self._ahead -= directory.count
            if was_full and not self._is_full():
                self._something_to_read.notify_all()
        if directory.error is not None:
            raise directory.error
        yield from entries
        if rest is not None:
            yield from rest

    def _start_threads(self, stack: list[Directory[T]]) -> None:
        with self._lock:
            if not self._threads:
                self._untaken.clear()
                for directory in _all_below(stack):
                    self._offer(directory)
            # If the system permits no more of them, the existing ones must suffice.
            with contextlib.suppress(RuntimeError):
                while self._threads < self._pace.threads:
                    threading.Thread(target=self._work, name="offload-walk", daemon=True).start()
                    self._threads += 1

    def _close(self, stack: list[Directory[T]]) -> None:
        with self._lock:
            self._closed = True
            self._something_to_read.notify_all()
            for directory in _all_below(stack):
                directory.names = None
                directory.children = None
                _close(directory.released())
                _close_reading(directory.rest)

    # The next three are called with the lock held.

    def _is_full(self) -> bool:
        return self._ahead > _MOST_AHEAD * 3 // 4

    def _take(self, directory: Directory[T]) -> Directory[T] | None:
        child = directory.take()
        if child is not None:
            directory.reading += 1
            del self._untaken[bisect.bisect_left(self._untaken, (_as_directory(child.path),))]
            path = directory.next_path()
            if path is not None:
                bisect.insort(self._untaken, (_as_directory(path), directory))
        return child

    def _offer(self, directory: Directory[T]) -> None:
        path = directory.next_path()
        if path is not None:
            bisect.insort(self._untaken, (_as_directory(path), directory))
            if self._idle:
                self._something_to_read.notify(len(directory.names or ()))

    def _work(self) -> None:
        while True:
            with self._lock:
                while not self._closed and self._is_wanted() and (self._is_full() or not self._untaken):
                    self._idle += 1
                    self._something_to_read.wait()
                    self._idle -= 1
                if self._closed or not self._is_wanted():
                    self._threads -= 1
                    return
                parent = self._untaken[0][1]
                directory = self._take(parent)
                if directory is None:
                    continue
                directory.is_ahead = True
                if parent.children is None:
                    parent.children = deque()
                parent.children.append(directory)
                self._ahead += 1
            self._read_ahead(parent, directory)
            # Otherwise the last one would stay in memory while this waits.
            del parent, directory

    def _is_wanted(self) -> bool:
        """Return whether the file system is slow enough for the present number of threads."""
        return self._pace.latency > _SLOW and self._threads <= self._pace.threads

    def _read_ahead(self, parent: Directory[T], directory: Directory[T]) -> None:
        entries: list[T] = []
        reading: Iterator[T] = iter(())
        try:
            reading = iter(self._read(directory))
            entries = list(islice(reading, _MOST_OF_ONE))
        except BaseException as error:
            directory.error = error
        descriptors = []
        with self._lock:
            directory.entries = entries
            directory.count += len(entries)
            directory.is_read = True
            self._ahead += len(entries)
            parent.reading -= 1
            if self._closed:
                directory.names = None
                descriptors.append(directory.released())
                _close_reading(reading)
            else:
                if len(entries) == _MOST_OF_ONE:
                    directory.rest = reading
                self._offer(directory)
            descriptors.append(parent.released())
            if self._awaited is directory:
                self._awaited_is_read.notify()
        # Without the lock: all other threads would have to wait until this one runs again.
        for descriptor in descriptors:
            _close(descriptor)


def _all_below(stack: Iterable[Directory[T]]) -> Iterator[Directory[T]]:
    """Yield the directories, and those below them that were read ahead, each after its children were collected."""
    rest = list(stack)
    while rest:
        directory = rest.pop()
        children = directory.children or ()
        rest += children
        yield directory


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def _close_reading(reading: Iterator[T] | None) -> None:
    close = getattr(reading, "close", None)
    if close is not None:
        close()


def _as_directory(path: str) -> str:
    return path + "/"
