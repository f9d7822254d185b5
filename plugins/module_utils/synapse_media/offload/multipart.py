# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A large file into the bucket part by part, several at a time, each with a digest that the store checks.

An upload is invisible until it is completed. So the file's own SHA-256 is computed while the parts are on their way,
and the upload is aborted where it disagrees with the row.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, NamedTuple

from ..errors import MediaError
from .conflict import proves_file, refuse_disagreement
from .content import UNREADABLE, ContentProblem, checksum_of, digest_in_order, digest_part, digest_sha256
from .context import Context
from .digests import MIB, composed_etag, is_md5, parts_of
from .local_file import LocalFile
from .rows import Row
from .s3 import Digest, MultipartUpload
from .transport.client import FilePart, RequestFailed
from .transport.loop import Task
from .upload import Uploaded

# From here on a file may go in parts, where that fills connections that would be idle; from LARGEST_WHOLE on it does.
LARGE = 16 * MIB
LARGEST_WHOLE = 64 * MIB
_PART = 8 * MIB
# S3 takes 10,000 parts of one upload, some other stores 1,000.
_MOST_PARTS = 1000
_NOT_FOUND = 404
# What aborting at the end of a stopped run waits for parts that are still on their way, in seconds.
_ABORT_AGAIN_AFTER = 1.0


class _Part(NamedTuple):
    """A part that the store took; `digest` is what it was checked by."""

    etag: str
    digest: Digest


async def upload_parts(context: Context, file: LocalFile, row: Row, *, repaired: bool) -> Uploaded:
    """Completes the upload only of the very file that the walk saw and the row describes; else aborts it.

    Raises Disagreement, RequestFailed, ContentProblem, or StoreError where the store refuses the whole run.
    """
    key = context.key(file)
    await context.checks.encryption()
    descriptor = await context.open(file)
    try:
        upload = await _begin(context, key, file.size)
        try:
            etags = await _FileUpload(context, file, row, descriptor, upload).run()
        except MediaError as error:
            await context.abort(key, upload)
            if isinstance(error, RequestFailed) and not error.status:
                # A part whose answer never came may arrive after the upload was aborted.
                context.abort_again.append((key, upload))
            raise
        context.unfinished.discard((key, upload))
    finally:
        os.close(descriptor)
    return Uploaded(file, file.identity, etags, repaired)


async def abort_unfinished(context: Context) -> None:
    """Takes back what a stopped run had begun to upload, as far as the store lets it."""
    await context.find_begun()
    uploads = list(context.unfinished)
    for key, upload in uploads:
        await context.abort(key, upload)
    # What was on its way when the connections were closed may have arrived meanwhile.
    await context.loop.sleep(_ABORT_AGAIN_AFTER)
    await context.find_begun()
    for key, upload in {*uploads, *context.unfinished}:
        await context.abort(key, upload)


async def abort_again(context: Context) -> None:
    """For the end of a run that was not stopped."""
    for key, upload in context.abort_again:
        await context.abort(key, upload)


async def _begin(context: Context, key: str, size: int) -> MultipartUpload:
    """A new upload, with a checksum for its parts where this store is known to verify that."""
    if size >= LARGEST_WHOLE:
        await context.checks.begin_checksum()
    return await context.begin_upload(key, context.checks.checksum)


class _FileUpload:
    """The parts of one file. Those of all files share the connections, and the number of parts that are under way."""

    def __init__(self, context: Context, file: LocalFile, row: Row, descriptor: int, upload: MultipartUpload) -> None:
        self._context = context
        self._file = file
        self._row = row
        self._descriptor = descriptor
        self._upload = upload
        self._problems: list[MediaError] = []
        self._wants_sha256 = proves_file(file, row)

    async def run(self) -> tuple[str, ...]:
        """ETags that the object may have."""
        parts, sha256 = await self._send_all()
        if self._problems:
            raise self._problems[0]
        self._context.check_unchanged(self._file, self._descriptor)
        refuse_disagreement(self._file, sha256, self._row)
        return await self._complete([part for part in parts if part is not None])

    async def _send_all(self) -> tuple[list[_Part | None], bytes | None]:
        context = self._context
        whole: Task[bytes | None] | None = None
        in_order: Any = None
        if self._wants_sha256:
            if self._upload.checksum:
                in_order = hashlib.sha256()
            else:
                # An MD5 takes longer than this does, so the parts' are made side by side.
                whole = context.loop.start(self._sha256())
        tasks: list[Task[_Part | None]] = []
        for number, (offset, count) in enumerate(parts_of(self._file.size, part_length(self._file.size)), start=1):
            body = FilePart(self._descriptor, offset, count)
            await context.parts.enter()
            if self._problems:
                context.parts.leave()
                break
            digest = await self._digest_in_order(body, in_order) if in_order is not None else None
            tasks.append(context.loop.start(self._part(number, body, digest)))
        parts = [await task for task in tasks]
        if in_order is not None:
            return parts, in_order.digest()
        return parts, await whole if whole is not None else None

    async def _digest_in_order(self, body: FilePart, sha256: Any) -> Digest | None:
        context = self._context
        try:
            checksum = await context.in_thread(
                digest_in_order, *body, sha256, self._upload.checksum, context.is_stopping
            )
        except (ContentProblem, OSError) as error:
            self._note(error)
            return None
        return Digest(name=self._upload.checksum, checksum=checksum)

    async def _part(self, number: int, body: FilePart, digest: Digest | None) -> _Part | None:
        context = self._context
        try:
            if self._problems:
                return None
            if digest is None:
                digest = await self._digest(body)
            with context.awaiting_answer():
                etag = await context.s3.upload_part(context.key(self._file), self._upload, number, body, digest)
        except (RequestFailed, ContentProblem, OSError) as error:
            self._note(error)
            return None
        finally:
            context.parts.leave()
        context.report.sent.bytes += body.length
        return _Part(etag, digest)

    async def _digest(self, body: FilePart) -> Digest:
        if self._upload.checksum:
            name = self._upload.checksum
            return Digest(name=name, checksum=await self._context.in_thread(checksum_of, *body, name))
        return Digest(await self._context.in_thread(digest_part, *body))

    async def _sha256(self) -> bytes | None:
        context = self._context
        try:
            # Nobody needs it any more once a part has failed.
            digest: bytes = await context.in_thread(
                digest_sha256, self._descriptor, self._file.size, lambda: context.stopping or bool(self._problems)
            )
        except (ContentProblem, OSError) as error:
            self._note(error)
            return None
        return digest

    async def _complete(self, parts: list[_Part]) -> tuple[str, ...]:
        context, upload = self._context, self._upload
        etags = [part.etag for part in parts]
        # The store has compared a checksum of every part, so its own MD5s are those of what it was sent.
        md5s = [part.digest.md5 or (bytes.fromhex(part.etag) if is_md5(part.etag) else b"") for part in parts]
        expected = (composed_etag(md5s),) if all(md5s) else ()
        checksums = [part.digest.checksum for part in parts] if upload.checksum else []
        try:
            with context.awaiting_answer():
                answered = await context.s3.complete_multipart(context.key(self._file), upload, etags, checksums)
        except RequestFailed as error:
            if error.status != _NOT_FOUND:
                raise
            # The upload is gone: an attempt whose answer was lost has completed it. What lies at the key will tell.
            return expected
        context.report.sent.files += 1
        # Encrypted: the ETag is no digest, but the store has compared a digest of every part.
        no_digest = upload.encrypted or bool(context.store.sse_customer_key) or bool(upload.checksum)
        return (*expected, answered) if no_digest else expected

    def _note(self, error: MediaError | OSError) -> None:
        if isinstance(error, OSError):
            words = f"The file cannot be read ({error.strerror}). Look after the disk it is on."
            self._problems.append(ContentProblem(words, UNREADABLE))
        else:
            self._problems.append(error)


def part_length(size: int) -> int:
    """Bytes a part, in whole MiB, so that a file of `size` bytes needs no more parts than every store takes."""
    smallest = -(-size // _MOST_PARTS)
    return max(_PART, -(-smallest // MIB) * MIB)
