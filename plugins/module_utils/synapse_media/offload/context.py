# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every part of a run shares."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..errors import MediaError
from ..store import StoreSettings
from .content import CHANGED, Content, ContentProblem, open_file, read_batch
from .local_file import LocalFile, identity_of
from .outcome import unlinked
from .overwrite import NewObjects
from .own_unlinks import OwnUnlinks
from .pace import FileSystemPace
from .removal import Removals
from .report import Report
from .rows import Rows
from .s3 import S3, MultipartUpload
from .settings import OffloadSettings
from .store_checks import StoreChecks
from .transport.loop import Loop, Semaphore, Task

# Files that are read ahead of the connections, of a fast file system.
_READ_AHEAD = 64
# Seconds by which the clocks of the store and this host may differ: S3 refuses signatures beyond that.
_CLOCK_SKEW = 15 * 60.0


@dataclass
class Context:
    """One run. `root` is the media store, `now` the time (seconds since 1970) that ages are measured from."""

    loop: Loop
    s3: S3
    rows: Rows
    root: str
    store: StoreSettings
    settings: OffloadSettings
    report: Report
    rehearse: bool
    now: float
    # Threads that may read and unlink at once, where the file system is slow; each has some files open.
    most_threads: int = 4
    # Multipart uploads that are neither completed nor aborted, by key; and those to be aborted again at the end.
    unfinished: set[tuple[str, MultipartUpload]] = field(default_factory=set)
    # Keys for which the store was asked to begin one, with the time in seconds; its answer is still to come.
    beginning: dict[str, float] = field(default_factory=dict)
    abort_again: list[tuple[str, MultipartUpload]] = field(default_factory=list)
    #: Uploads whose answer is still to come; those of a run that ends early may have arrived.
    unanswered: int = 0
    #: What the run waits for at its end alone, such as large files.
    background: list[Task[None]] = field(default_factory=list)
    stopping: bool = False
    unlinks: OwnUnlinks = field(default_factory=OwnUnlinks)

    def __post_init__(self) -> None:
        concurrency = self.settings.concurrency
        #: How long this file system takes to open a file.
        self.pace = FileSystemPace(self.most_threads)
        self.new_objects = NewObjects(self.s3)
        #: Whether an object that a listing names can be read with the keys there are.
        self.listing_proves = not self.store.sse_customer_key
        grace = self.settings.grace.total_seconds()
        self.removals = Removals(self.loop, self.root, self.unlinks, grace, partial(unlinked, self), self.most_threads)
        #: Small files between their reading and the answer to their upload.
        self.small_files = Semaphore(self.loop, concurrency + _READ_AHEAD)
        self.batch_turn = Semaphore(self.loop, 1)
        #: Batches of files that are being read, and batches that are being compared with their objects.
        self.readers = Semaphore(self.loop, self.pace.threads)
        self.settling = Semaphore(self.loop, concurrency)
        #: Large files that are being uploaded, and their parts.
        self.large_files = Semaphore(self.loop, concurrency)
        self.parts = Semaphore(self.loop, concurrency)
        self.checks = StoreChecks(self)

    def key(self, file: LocalFile) -> str:
        return self.store.prefix + file.path

    def is_stopping(self) -> bool:
        """For work in threads, which no signal ends."""
        return self.stopping

    def fail(self, file: LocalFile, error: object) -> None:
        self.report.fail(file.path, self.key(file), str(error))

    async def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """As the loop's; slow file systems are given more threads."""
        self.loop.allow_threads(self.pace.threads)
        return await self.loop.in_thread(function, *arguments)

    async def read(
        self, wanted: Sequence[tuple[LocalFile, bool, bool]], *, to_upload: bool = False
    ) -> list[Content | ContentProblem]:
        """As read_batch(); what is large gets a checksum in place of an MD5 where that will do `to_upload` it."""
        async with self.readers:
            # Learnt while others were read.
            checksum = self.checks.checksum if to_upload else ""
            contents: list[Content | ContentProblem] = await self.in_thread(
                read_batch, self.root, wanted, self.is_stopping, self.unlinks, self.pace, checksum
            )
        threads = self.pace.threads
        self.readers.allow(threads)
        self.small_files.allow(self.settings.concurrency + max(_READ_AHEAD, threads * self.pace.batch))
        return contents

    async def open(self, file: LocalFile) -> int:
        """As open_file()."""
        descriptor: int = await self.in_thread(self.open_now, file)
        return descriptor

    def open_now(self, file: LocalFile) -> int:
        """The same, for who is in a thread."""
        return open_file(self.root, file, self.unlinks)

    def check_unchanged(self, file: LocalFile, descriptor: int) -> None:
        """Raises ContentProblem where an open file is not what the walk saw any more."""
        if not self.unlinks.is_same(file.identity, identity_of(os.fstat(descriptor))):
            raise ContentProblem("The file changed while it was read. The next run looks at it again.", CHANGED)

    @contextmanager
    def awaiting_answer(self) -> Iterator[None]:
        """Around an upload: whether its answer came is known afterwards, even if the run ends before."""
        self.unanswered += 1
        try:
            yield
        except GeneratorExit:
            raise
        except BaseException:
            self.unanswered -= 1
            raise
        self.unanswered -= 1

    async def begin_upload(self, key: str, checksum: str) -> MultipartUpload:
        """Begins a multipart upload; `checksum` as in S3.create_multipart()."""
        self.beginning[key] = time.time()
        try:
            upload = await self.s3.create_multipart(key, checksum)
        except MediaError:
            del self.beginning[key]
            raise
        del self.beginning[key]
        self.unfinished.add((key, upload))
        return upload

    async def find_begun(self) -> None:
        """Adds to `unfinished` what the store has begun for this run in an answer that never came."""
        if not self.beginning:
            return
        try:
            async for upload in self.s3.unfinished_uploads():
                asked_at = self.beginning.get(upload.key)
                if asked_at is not None and upload.initiated >= asked_at - _CLOCK_SKEW:
                    self.unfinished.add((upload.key, MultipartUpload(upload.upload_id, False, "")))
        except MediaError:
            # Not asked again; a later run aborts what is left.
            self.beginning.clear()

    async def abort(self, key: str, upload: MultipartUpload) -> None:
        """Takes back an upload in parts, as far as the store lets it."""
        try:
            await self.s3.abort_multipart(key, upload.upload_id)
        except MediaError:
            # What led here is the one to tell. An unfinished upload is no object, and a later run aborts it.
            return
        self.unfinished.discard((key, upload))
