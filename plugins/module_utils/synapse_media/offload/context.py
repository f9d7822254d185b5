# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every part of a run shares."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..errors import MediaError, StoreError
from ..store import StoreSettings
from .checksums import Checksum, for_parts
from .content import CHANGED, Content, ContentProblem, open_file, read_batch
from .local_file import LocalFile, identity_of
from .outcome import unlinked
from .overwrite import NewObjects
from .own_unlinks import OwnUnlinks
from .pace import FileSystemPace
from .removal import Removals
from .report import Report
from .rows import Rows
from .s3 import S3, Digest, MultipartUpload
from .settings import OffloadSettings
from .transport.client import RequestFailed
from .transport.loop import Loop, Semaphore, Task

# No name of Synapse's.
_ENCRYPTION_CHECK = ".synapse-s3-encryption-check"
_ENCRYPTION_CHECK_BODY = b"?"
_CHECKSUM_CHECK = ".synapse-s3-checksum-check"
# Files that are read ahead of the connections, of a fast file system.
_READ_AHEAD = 64


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
    # Threads that may read and unlink at once; each has some files open.
    most_threads: int = 64
    # Multipart uploads that are neither completed nor aborted, by key; and those to be aborted again at the end.
    unfinished: set[tuple[str, MultipartUpload]] = field(default_factory=set)
    abort_again: list[tuple[str, MultipartUpload]] = field(default_factory=list)
    #: The name of the checksum that this store verifies; empty where it verifies none, and until it is known.
    checksum: str = ""
    #: Uploads whose answer is still to come; those of a run that ends early may have arrived.
    unanswered: int = 0
    #: Large files that are under way.
    large_uploads: list[Task[None]] = field(default_factory=list)
    stopping: bool = False
    unlinks: OwnUnlinks = field(default_factory=OwnUnlinks)

    def __post_init__(self) -> None:
        concurrency = self.settings.concurrency
        #: How long this file system takes to open a file.
        self.pace = FileSystemPace(min(concurrency, self.most_threads))
        self.new_objects = NewObjects(self.s3)
        #: Whether an object that a listing names can be read with the keys there are.
        self.listing_proves = not self.store.sse_customer_key
        grace = self.settings.grace.total_seconds()
        threads = min(concurrency, self.most_threads)
        self.removals = Removals(self.loop, self.root, self.unlinks, grace, partial(unlinked, self), threads)
        #: Small files between their reading and the answer to their upload.
        self.small_files = Semaphore(self.loop, concurrency + _READ_AHEAD)
        self.batch_turn = Semaphore(self.loop, 1)
        #: Batches of files that are being read, and batches that are being compared with their objects.
        self.readers = Semaphore(self.loop, self.pace.threads)
        self.settling = Semaphore(self.loop, concurrency)
        #: Large files that are being uploaded, and their parts.
        self.large_files = Semaphore(self.loop, concurrency)
        self.parts = Semaphore(self.loop, concurrency)
        self._encryption_check: Task[None] | None = None
        self._checksum_check: Task[None] | None = None

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
            checksum = self.checksum if to_upload else ""
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
        now = identity_of(os.fstat(descriptor))
        if now != file.identity and not self.unlinks.is_same(file.identity, now):
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

    async def check_encryption(self) -> None:
        """Before the first upload: raises StoreError where the store does not use the customer key. Asks once a run.

        Asked with an upload in parts, which is never completed, so that no media is stored in the clear to find out.
        """
        if not self.store.sse_customer_key:
            return
        if self._encryption_check is None:
            self._encryption_check = self.loop.start(self._check_encryption())
        await self._encryption_check

    async def _check_encryption(self) -> None:
        key = self.store.prefix + _ENCRYPTION_CHECK
        try:
            upload = await self.s3.create_multipart(key)
            try:
                if not upload.uses_key:
                    # Some stores say it of the parts alone.
                    md5 = hashlib.md5(_ENCRYPTION_CHECK_BODY, usedforsecurity=False).digest()
                    await self.s3.upload_part(key, upload, 1, _ENCRYPTION_CHECK_BODY, Digest(md5))
            finally:
                with suppress(RequestFailed):
                    await self.s3.abort_multipart(key, upload.upload_id)
        except RequestFailed as error:
            # Every other upload would be refused in the same way.
            raise StoreError(
                f"{error} It was sent with synapse_s3_sse_customer_key: leave that empty if the store does not take "
                "customer keys (SSE-C).",
                error.code,
            ) from error

    def begin_checksum_check(self) -> Task[None]:
        """Finds out, once a run, whether the store verifies a checksum that is faster than an MD5."""
        if self._checksum_check is None:
            self._checksum_check = self.loop.start(self._check_checksum())
        return self._checksum_check

    async def _check_checksum(self) -> None:
        """Some stores take any checksum and hand it back. A part of an upload that is never completed tells."""
        name = await self.in_thread(for_parts)
        key = self.store.prefix + _CHECKSUM_CHECK
        with suppress(MediaError):
            upload = await self.s3.create_multipart(key, name)
            try:
                if upload.checksum:
                    wrong = Checksum(name)
                    wrong.update(b"another byte")
                    digest = Digest(name=name, checksum=wrong.base64())
                    if await self.s3.refuses_wrong_checksum(key, upload, digest):
                        self.checksum = name
            finally:
                # Nobody waits for it.
                self.large_uploads.append(self.loop.start(self._abort_check(key, upload)))

    async def _abort_check(self, key: str, upload: MultipartUpload) -> None:
        with suppress(MediaError):
            await self.s3.abort_multipart(key, upload.upload_id)
