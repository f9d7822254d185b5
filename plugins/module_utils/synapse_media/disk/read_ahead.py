# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directories of a tree, read in order; where opens are slow, several threads read those that come next.

The order of what is given does not depend on the threads. On a quick file system there are none, and each directory is
read when it is its turn.
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

# Seconds an open takes where threads begin to be worth it; a local disk with warm caches takes a tenth of it.
_SLOW = 200e-6
# What is read ahead in all, counted in directories and what is in them; threads go on where a quarter of it is free.
_MOST_AHEAD = 10_000
# What is kept of one directory. The rest is read when it is its turn.
_MOST_OF_ONE = 1000


class Directory(Generic[T]):
    """One directory of the tree, or what is in its place. Its parent's descriptor is open while this is read."""

    # Attributes of the class until they are something else: most directories need few of them.

    #: What is below, in order, where this has directories below, and then the descriptor is open.
    names: list[str] | None = None
    descriptor = -1
    # How many of the names were taken, and how many of those directories are being read while there are threads.
    _position = 0
    reading = 0
    # Those taken by threads, in order, which the walk has not come to yet.
    children: deque[Directory[T]] | None = None
    is_ahead = False
    is_read = False
    entries: Sequence[T] = ()
    rest: Iterator[T] | None = None
    error: BaseException | None = None
    # What was read ahead here, this directory included.
    count = 1
    #: Whatever read() wants to know of this when it reads what is below.
    context: Any = None

    def __init__(self, parent: Directory[T] | None, name: str, path: str) -> None:
        self.parent = parent
        self.name = name
        #: From the top of the tree; empty for the top itself.
        self.path = path

    def next_path(self) -> str | None:
        """Of the first directory below that nobody has taken."""
        if self.names is None or self._position >= len(self.names):
            return None
        name = self.names[self._position]
        return f"{self.path}/{name}" if self.path else name

    def take(self) -> Directory[T] | None:
        """The first directory below that nobody has taken."""
        names, position = self.names, self._position
        if names is None or position >= len(names):
            return None
        self._position = position + 1
        name = names[position]
        return Directory(self, name, f"{self.path}/{name}" if self.path else name)

    def released(self) -> int:
        """The descriptor to close, once nobody needs it any more; -1 until then."""
        if self.reading or (self.names is not None and self._position < len(self.names)):
            return -1
        descriptor, self.descriptor = self.descriptor, -1
        return descriptor


class ReadAhead(Generic[T]):
    """`read` gives what is in a directory, in order; a generator closes what it has open.

    Where there are directories below it sets `names` and `descriptor` and leaves that open. It is called in several
    threads at once, for different directories, and notes in `pace` how long it took to open one.
    """

    def __init__(self, read: Callable[[Directory[T]], Iterable[T]], pace: FileSystemPace) -> None:
        self._read = read
        self._pace = pace
        # Reentrant, as the garbage collector may close an abandoned walk in the middle of anything.
        self._lock = threading.RLock()
        self._something_to_read = threading.Condition(self._lock)
        self._awaited_is_read = threading.Condition(self._lock)
        # While there are threads: directories that have names nobody has taken, by the path of the first, in order.
        self._untaken: list[tuple[str, Directory[T]]] = []
        self._awaited: Directory[T] | None = None
        self._ahead = 0
        # Only the walk itself makes it more than it is.
        self._threads = 0
        self._idle = 0
        self._closed = False

    def walk(self, top: Directory[T]) -> Iterator[T]:
        """What is in the tree, in order. `top` has its names and its descriptor, which is closed at the end."""
        stack = [top]
        try:
            while stack:
                parent = stack[-1]
                if self._pace.latency > _SLOW and self._threads < self._pace.threads:
                    self._start_threads(stack)
                # Threads end by themselves, and only here new ones begin: without any, nothing needs a lock.
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
        """By the walk itself, beside threads."""
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
            # Where the system allows no more of them, those there are have to do.
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
            # Else the one that was read last would be kept while this waits.
            del parent, directory

    def _is_wanted(self) -> bool:
        """Whether there are not more threads than the file system is worth."""
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
        # Not with the lock held: all other threads would have to wait for this one to run again.
        for descriptor in descriptors:
            _close(descriptor)


def _all_below(stack: Iterable[Directory[T]]) -> Iterator[Directory[T]]:
    """The directories and those that were read ahead below them, each before its children are looked for."""
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
