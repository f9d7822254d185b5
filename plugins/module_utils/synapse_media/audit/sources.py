# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The three sources of an audit. Each gives its paths in ascending order, batch by batch, and says where it failed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Generator
from typing import Generic, TypeVar

from ..database.ordered import OrderedRows
from ..database.rows import Row
from ..disk.walk import SPECIAL, SYMLINK, UNREADABLE_DIRECTORY, UNUSABLE_NAME, Entry, Left, LocalFile, entries
from ..errors import MediaError
from ..event_loop.loop import Loop, Task
from ..s3.bucket import Bucket
from ..s3.documents import Listed

T = TypeVar("T")

FILES = 2000
# Directories that could not be looked into, and links. With more of them nothing is said of what is not on the disk.
MOST_HIDDEN = 10_000


class Slice(Generic[T]):
    """A part of a source: ascending paths below the media store, and what is at each."""

    __slots__ = ("paths", "values")

    def __init__(self, paths: list[str], values: list[T]) -> None:
        self.paths = paths
        self.values = values


class Source(ABC, Generic[T]):
    """A source in ascending order of paths; the next batch is read while this one is used."""

    def __init__(self, loop: Loop, failure: str | None = None) -> None:
        """With `failure` it is not read at all: the reason why it cannot be asked."""
        self._loop = loop
        self._paths: list[str] = []
        self._values: list[T] = []
        self._position = 0
        self._next: Task[Slice[T] | MediaError | None] | None = None
        #: Why it says nothing about the paths that follow; None as long as it is complete.
        self.failure = failure
        self.ended = failure is not None

    async def _read(self) -> Slice[T] | MediaError | None:
        """As read(). An error is given back, because nobody may be waiting for it when it comes."""
        try:
            return await self.read()
        except MediaError as error:
            return error

    @abstractmethod
    async def read(self) -> Slice[T] | None:
        """The next batch, which is not empty, or None after the last. Raises MediaError."""

    def begin(self) -> None:
        """Begins to read the next batch, if that is not being done."""
        if not self.ended and self._next is None:
            self._next = self._loop.start(self._read())

    async def fill(self) -> None:
        """Takes the next batch if this one is used up; after begin()."""
        if self.ended or self._position < len(self._paths) or self._next is None:
            return
        batch = await self._next
        if isinstance(batch, MediaError):
            self.failure = str(batch)
            batch = None
        self._next = None
        self._paths, self._values, self._position = [], [], 0
        if batch is None:
            self.ended = True
            return
        self._paths, self._values = batch.paths, batch.values
        self.begin()

    @property
    def last(self) -> str | None:
        """The path up to which it is known; None if nothing is left of it."""
        return self._paths[-1] if self._position < len(self._paths) else None

    def take(self, limit: str) -> Slice[T]:
        """What is left of it up to and with this path."""
        start = self._position
        end = self._position = bisect_right(self._paths, limit, start)
        if start == 0 and end == len(self._paths):
            return Slice(self._paths, self._values)
        return Slice(self._paths[start:end], self._values[start:end])


class ObjectSource(Source[Listed]):
    """The objects under the prefix: one request for every 1,000."""

    def __init__(self, loop: Loop, bucket: Bucket | None, failure: str | None = None) -> None:
        super().__init__(loop, failure)
        self._bucket = bucket
        self._after = ""
        self._last_page = False

    async def read(self) -> Slice[Listed] | None:
        if self._bucket is None or self._last_page:
            return None
        page = await self._bucket.list_page(self._after, dated=True)
        self._last_page = not page.truncated
        if not page.objects:
            return None
        self._after = page.objects[-1].key
        length = len(self._bucket.prefix)
        paths = [listed.key[length:] for listed in page.objects]
        return Slice(paths, page.objects)


class RowSource(Source[Row]):
    """The paths that rows name."""

    def __init__(self, loop: Loop, rows: OrderedRows | None, failure: str | None = None) -> None:
        super().__init__(loop, failure)
        self._rows = rows

    async def read(self) -> Slice[Row] | None:
        if self._rows is None:
            return None
        batch = await self._loop.in_thread(self._rows.next)
        return None if batch is None else Slice(*batch)


class FileSource(Source[LocalFile]):
    """The files of the media store, and what the walk could not look at or left aside."""

    def __init__(self, loop: Loop, root: str | None, failure: str | None = None, most_threads: int = 16) -> None:
        super().__init__(loop, failure)
        self._entries: Generator[Entry, None, None] | None = None if root is None else entries(root, most_threads)
        self._hidden: set[str] = set()
        self._too_many_hidden = False
        #: Of everything that is no file of Synapse's layout, by the reason that the walk gives.
        self.left: dict[str, list[Left]] = {SYMLINK: [], SPECIAL: [], UNUSABLE_NAME: [], UNREADABLE_DIRECTORY: []}
        self.left_count = dict.fromkeys(self.left, 0)
        self.left_bytes = dict.fromkeys(self.left, 0)

    async def read(self) -> Slice[LocalFile] | None:
        found = await self._loop.in_thread(self._walk)
        return Slice([file.path for file in found], found) if found else None

    def hides(self, path: str) -> bool:
        """Whether there may be a file at a path where the walk found none."""
        if self.failure is not None or self._too_many_hidden:
            return True
        if not self._hidden:
            return False
        while path:
            if path in self._hidden:
                return True
            path = path.rpartition("/")[0]
        return False

    def close(self) -> None:
        """Not while a batch is being read."""
        if self._entries is not None:
            self._entries.close()

    def _walk(self) -> list[LocalFile]:
        found: list[LocalFile] = []
        if self._entries is not None:
            for entry in self._entries:
                if isinstance(entry, LocalFile):
                    found.append(entry)
                    if len(found) >= FILES:
                        break
                elif isinstance(entry, Left):
                    # Read ahead of what is compared, and so known in time: it hides paths that follow it.
                    self._note(entry)
        return found

    def _note(self, entry: Left) -> None:
        examples = self.left[entry.reason]
        self.left_count[entry.reason] += 1
        self.left_bytes[entry.reason] += entry.size
        if len(examples) < 3:
            examples.append(entry)
        if entry.reason == UNUSABLE_NAME:
            return
        if len(self._hidden) < MOST_HIDDEN:
            self._hidden.add(entry.path)
        else:
            self._too_many_hidden = True
