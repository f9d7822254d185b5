# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The uploads of one run: files of up to some 64 MiB in one request, what is asked of the store first, and aborts."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, NamedTuple

from ..disk.checksums import Checksum, for_parts
from ..disk.content import Content
from ..disk.local_file import Identity, LocalFile
from ..disk.media_files import MediaFiles
from ..errors import MediaError, RequestFailed, StoreError
from ..event_loop.loop import Task
from ..event_loop.semaphore import Semaphore
from ..reporting import Tally
from .bucket import Bucket
from .new_objects import NewObjects
from .objects import Digest, MultipartUpload, ObjectInfo
from .transport.connection import FilePart

# Seconds that the abort of uploads of a stopped run waits for parts that are still on their way.
_ABORT_AGAIN_AFTER = 1.0
# Seconds by which the clocks of the store and this host may differ: S3 refuses signatures beyond that.
_CLOCK_SKEW = 15 * 60.0
# Names that Synapse never uses.
_ENCRYPTION = ".synapse-s3-encryption-check"
_CHECKSUM = ".synapse-s3-checksum-check"
_BODY = b"?"


class Uploaded(NamedTuple):
    """What the store said it took. An object of the file's size with one of the ETags is this upload."""

    file: LocalFile
    identity: Identity
    etags: tuple[str, ...]
    repaired: bool


class Uploads:
    """What the uploads of a run share. `sent` counts what the store said it took."""

    def __init__(self, files: MediaFiles, bucket: Bucket, concurrency: int, sent: Tally) -> None:
        self.files = files
        self.loop = files.loop
        self.bucket = bucket
        self.sent = sent
        self.new_objects = NewObjects(bucket)
        self.checks = StoreChecks(self)
        #: Parts of large files that are being uploaded at the same time.
        self.parts = Semaphore(files.loop, concurrency)
        #: Multipart uploads that are neither completed nor aborted, by key; and those to abort again at the end.
        self.unfinished: set[tuple[str, MultipartUpload]] = set()
        #: Keys for which the store was asked to begin one, with the time in seconds; its response is still to come.
        self._beginning: dict[str, float] = {}
        self._abort_again: list[tuple[str, MultipartUpload]] = []
        #: Uploads whose response is still to come; if the run ends early, they may have arrived.
        self.unanswered = 0
        #: Tasks that the run waits for only at its end, such as large files.
        self.background: list[Task[None]] = []

    async def upload_whole(
        self, file: LocalFile, content: Content, *, may_replace: bool, repaired: bool = False
    ) -> Uploaded | None:
        """Uploads a file in one request, with a digest that the store checks.

        Returns None if there is an object already, which stays: it is replaced only if `repaired`. `may_replace`: as in
        NewObjects.put(). Raises RequestFailed, ContentProblem, or StoreError if the store refuses the whole run.
        """
        if self.bucket.uses_customer_key:
            await self.checks.encryption()
        if content.data is not None:
            body: bytes | FilePart = content.data
        else:
            body = FilePart(await self.files.open(file), 0, file.size)
        digest = Digest(content.md5) if content.md5 else Digest(name=self.checks.checksum, checksum=content.checksum)
        info: ObjectInfo | None
        key = self.bucket.key(file.path)
        try:
            # Should the file change now, its digest no longer fits and the store refuses the request.
            with self.awaiting_response():
                if repaired:
                    info = await self.bucket.put(key, body, digest)
                else:
                    info = await self.new_objects.put(key, body, digest, may_replace=may_replace)
        finally:
            if isinstance(body, FilePart):
                os.close(body.descriptor)
        if info is None:
            return None
        self.sent.add(file.size)
        # The ETag of an encrypted object is no digest, but the store has compared the one that went along.
        etags: tuple[str, ...] = (content.md5.hex(), info.etag) if info.encrypted else (content.md5.hex(),)
        if digest.name:
            # A store that does not name the checksum has not kept it; then the object is compared in other ways.
            etags = (info.etag,) if digest.name in info.checksums else ()
        return Uploaded(file, content.identity, etags, repaired)

    async def in_thread(self, function: Any, *arguments: Any) -> Any:
        return await self.files.in_thread(function, *arguments)

    @contextmanager
    def awaiting_response(self) -> Iterator[None]:
        """Around an upload: counts it in `unanswered` until its response came, also if the run ends before."""
        self.unanswered += 1
        try:
            yield
        except GeneratorExit:
            raise
        except BaseException:
            self.unanswered -= 1
            raise
        self.unanswered -= 1

    async def begin(self, key: str, checksum: str) -> MultipartUpload:
        """Begins a multipart upload; `checksum` as in Bucket.create_multipart()."""
        self._beginning[key] = time.time()
        try:
            upload = await self.bucket.create_multipart(key, checksum)
        except MediaError:
            del self._beginning[key]
            raise
        del self._beginning[key]
        self.unfinished.add((key, upload))
        return upload

    def completed(self, key: str, upload: MultipartUpload) -> None:
        self.unfinished.discard((key, upload))

    async def abort(self, key: str, upload: MultipartUpload, *, again: bool = False) -> None:
        """Aborts a multipart upload, as far as the store allows it; `again` at the end of the run too."""
        if again:
            self._abort_again.append((key, upload))
        try:
            await self.bucket.abort_multipart(key, upload.upload_id)
        except MediaError:
            # The error that led here is reported. An unfinished upload is no object, and a later run aborts it.
            return
        self.unfinished.discard((key, upload))

    @property
    def leaves_unfinished(self) -> bool:
        """Whether a stopped run may have left multipart uploads in the bucket."""
        return bool(self.unfinished or self._beginning)

    async def abort_unfinished(self) -> None:
        """Aborts what a stopped run had begun to upload, as far as the store allows it."""
        await self._find_begun()
        uploads = list(self.unfinished)
        for key, upload in uploads:
            await self.abort(key, upload)
        # What was on its way when the connections were closed may have arrived meanwhile.
        await self.loop.sleep(_ABORT_AGAIN_AFTER)
        await self._find_begun()
        for key, upload in {*uploads, *self.unfinished}:
            await self.abort(key, upload)

    async def _find_begun(self) -> None:
        """Adds to `unfinished` what the store has begun for this run in a response that never came."""
        if not self._beginning:
            return
        try:
            async for upload in self.bucket.unfinished_uploads():
                asked_at = self._beginning.get(upload.key)
                if asked_at is not None and upload.initiated >= asked_at - _CLOCK_SKEW:
                    self.unfinished.add((upload.key, MultipartUpload(upload.upload_id, False, "")))
        except MediaError:
            # Not asked again; a later run aborts what is left.
            self._beginning.clear()

    async def abort_late_parts(self) -> None:
        """Aborts again those uploads whose parts may have arrived late; for the end of a run that was not stopped."""
        for key, upload in self._abort_again:
            await self.abort(key, upload)


class StoreChecks:
    """What the store is asked once a run, with multipart uploads that are never completed, so are no objects.

    Each check is made when it is first needed; whoever needs it meanwhile waits for the same one.
    """

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self._encryption: Task[None] | None = None
        self._checksum: Task[None] | None = None
        #: The name of the checksum that this store verifies; empty if it verifies none, and until it is known.
        self.checksum = ""

    async def encryption(self) -> None:
        """Before the first upload: raises StoreError if a customer key is set and the store does not use it.

        Media is not stored in the clear to find out.
        """
        uploads = self._uploads
        if not uploads.bucket.uses_customer_key:
            return
        if self._encryption is None:
            self._encryption = uploads.loop.start(self._check_encryption())
        await self._encryption

    def begin_checksum(self) -> Task[None]:
        """Finds out whether the store verifies a checksum that is faster than an MD5."""
        if self._checksum is None:
            self._checksum = self._uploads.loop.start(self._check_checksum())
            # Whoever needs the result waits for it; the run waits for the rest.
            self._uploads.background.append(self._checksum)
        return self._checksum

    async def _check_encryption(self) -> None:
        try:
            async with self._upload(_ENCRYPTION) as (key, upload):
                if not upload.uses_key:
                    # Some stores confirm the key only for the parts.
                    md5 = hashlib.md5(_BODY, usedforsecurity=False).digest()
                    await self._uploads.bucket.upload_part(key, upload, 1, _BODY, Digest(md5))
        except RequestFailed as error:
            # Every other upload would be refused in the same way.
            raise StoreError(
                f"{error} It was sent with synapse_s3_sse_customer_key: leave that empty if the store does not take "
                "customer keys (SSE-C).",
                error.code,
            ) from error

    async def _check_checksum(self) -> None:
        """Some stores take any checksum and hand it back: a wrong one tells."""
        name = await self._uploads.in_thread(for_parts)
        with suppress(MediaError):
            async with self._upload(_CHECKSUM, name) as (key, upload):
                if upload.checksum:
                    wrong = Checksum(name)
                    wrong.update(b"another byte")
                    digest = Digest(name=name, checksum=wrong.base64())
                    if await self._uploads.bucket.refuses_wrong_checksum(key, upload, digest):
                        self.checksum = name

    @asynccontextmanager
    async def _upload(self, name: str, checksum: str = "") -> AsyncIterator[tuple[str, MultipartUpload]]:
        """An upload that is aborted afterwards, while nobody waits for that."""
        uploads = self._uploads
        key = uploads.bucket.key(name)
        upload = await uploads.begin(key, checksum)
        try:
            yield key, upload
        finally:
            uploads.background.append(uploads.loop.start(uploads.abort(key, upload)))
