# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A large file into the bucket part by part, several at a time, each with a digest that the store checks.

An upload is invisible until it is completed. So the file's own SHA-256 is computed while the parts are on their way,
and the upload is aborted where it disagrees with the row.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from ..disk.content import UNREADABLE, ContentProblem, checksum_of, digest_in_order, digest_part, digest_sha256
from ..disk.layout import is_media_path
from ..disk.local_file import LocalFile
from ..errors import MediaError, RequestFailed
from ..event_loop.loop import Task
from .bucket import Bucket
from .objects import MIB, Digest, MultipartUpload, composed_etag, is_md5, parts_of
from .transport.connection import FilePart
from .uploads import Uploaded, Uploads

# From here on a file may go in parts, where that fills connections that would be idle; from LARGEST_WHOLE on it does.
LARGE = 16 * MIB
LARGEST_WHOLE = 64 * MIB
_PART = 8 * MIB
# S3 takes 10,000 parts of one upload, some other stores 1,000.
_MOST_PARTS = 1000
_NOT_FOUND = 404
# Seconds: nothing that Synapse or a run on another host is still uploading takes that long.
_OLD = 24 * 3600.0


class _Part(NamedTuple):
    """A part that the store took; `digest` is what it was checked by."""

    etag: str
    digest: Digest


async def upload_parts(
    uploads: Uploads,
    file: LocalFile,
    check: Callable[[bytes | None], None],
    *,
    wants_sha256: bool,
    repaired: bool,
) -> Uploaded:
    """Completes the upload only if the file is still what the walk saw and `check` accepts it; else aborts it.

    `check` is given the file's SHA-256 if `wants_sha256`, and raises a MediaError to refuse it. Raises that error,
    RequestFailed, ContentProblem, or StoreError if the store refuses the whole run.
    """
    key = uploads.bucket.key(file.path)
    await uploads.checks.encryption()
    descriptor = await uploads.files.open(file)
    try:
        if file.size >= LARGEST_WHOLE:
            await uploads.checks.begin_checksum()
        upload = await uploads.begin(key, uploads.checks.checksum)
        try:
            etags = await _FileUpload(uploads, file, descriptor, upload, check, wants_sha256).run()
        except MediaError as error:
            # A part whose response never came may arrive after the upload was aborted.
            await uploads.abort(key, upload, again=isinstance(error, RequestFailed) and not error.status)
            raise
        uploads.completed(key, upload)
    finally:
        os.close(descriptor)
    return Uploaded(file, file.identity, etags, repaired)


async def abort_leftovers(bucket: Bucket, now: float) -> None:
    """Aborts uploads of media under the prefix that a killed run began more than a day before `now` (seconds).

    Their parts cost money and nobody sees them. A store that does not list unfinished uploads, or does not let these
    keys list them, is left alone: nothing depends on it.
    """
    with contextlib.suppress(MediaError):
        async for upload in bucket.unfinished_uploads():
            if upload.initiated < now - _OLD and _is_media(upload.key, bucket.prefix):
                await bucket.abort_multipart(upload.key, upload.upload_id)


def _is_media(key: str, prefix: str) -> bool:
    return key.startswith(prefix) and is_media_path(key[len(prefix) :])


class _FileUpload:
    """The parts of one file. Those of all files share the connections, and the number of parts that are under way."""

    def __init__(
        self,
        uploads: Uploads,
        file: LocalFile,
        descriptor: int,
        upload: MultipartUpload,
        check: Callable[[bytes | None], None],
        wants_sha256: bool,
    ) -> None:
        self._uploads = uploads
        self._file = file
        self._key = uploads.bucket.key(file.path)
        self._descriptor = descriptor
        self._upload = upload
        self._check = check
        self._problems: list[MediaError] = []
        self._wants_sha256 = wants_sha256

    async def run(self) -> tuple[str, ...]:
        """ETags that the object may have."""
        parts, sha256 = await self._send_all()
        if self._problems:
            raise self._problems[0]
        self._uploads.files.check_unchanged(self._file, self._descriptor)
        self._check(sha256)
        return await self._complete([part for part in parts if part is not None])

    async def _send_all(self) -> tuple[list[_Part | None], bytes | None]:
        uploads = self._uploads
        whole: Task[bytes | None] | None = None
        in_order: Any = None
        if self._wants_sha256:
            if self._upload.checksum:
                in_order = hashlib.sha256()
            else:
                # An MD5 takes longer than this does, so the parts' are made side by side.
                whole = uploads.loop.start(self._sha256())
        tasks: list[Task[_Part | None]] = []
        for number, (offset, count) in enumerate(parts_of(self._file.size, part_length(self._file.size)), start=1):
            body = FilePart(self._descriptor, offset, count)
            await uploads.parts.enter()
            if self._problems:
                uploads.parts.leave()
                break
            digest = await self._digest_in_order(body, in_order) if in_order is not None else None
            tasks.append(uploads.loop.start(self._part(number, body, digest)))
        parts = [await task for task in tasks]
        if in_order is not None:
            return parts, in_order.digest()
        return parts, await whole if whole is not None else None

    async def _digest_in_order(self, body: FilePart, sha256: Any) -> Digest | None:
        uploads = self._uploads
        try:
            checksum = await uploads.in_thread(
                digest_in_order, *body, sha256, self._upload.checksum, uploads.files.is_stopping
            )
        except (ContentProblem, OSError) as error:
            self._note(error)
            return None
        return Digest(name=self._upload.checksum, checksum=checksum)

    async def _part(self, number: int, body: FilePart, digest: Digest | None) -> _Part | None:
        uploads = self._uploads
        try:
            if self._problems:
                return None
            if digest is None:
                digest = await self._digest(body)
            with uploads.awaiting_response():
                etag = await uploads.bucket.upload_part(self._key, self._upload, number, body, digest)
        except (RequestFailed, ContentProblem, OSError) as error:
            self._note(error)
            return None
        finally:
            uploads.parts.leave()
        uploads.sent.bytes += body.length
        return _Part(etag, digest)

    async def _digest(self, body: FilePart) -> Digest:
        if self._upload.checksum:
            name = self._upload.checksum
            return Digest(name=name, checksum=await self._uploads.in_thread(checksum_of, *body, name))
        return Digest(await self._uploads.in_thread(digest_part, *body))

    async def _sha256(self) -> bytes | None:
        uploads = self._uploads
        try:
            # Nobody needs it any more once a part has failed.
            digest: bytes = await uploads.in_thread(
                digest_sha256, self._descriptor, self._file.size, lambda: uploads.files.stopping or bool(self._problems)
            )
        except (ContentProblem, OSError) as error:
            self._note(error)
            return None
        return digest

    async def _complete(self, parts: list[_Part]) -> tuple[str, ...]:
        uploads, upload = self._uploads, self._upload
        etags = [part.etag for part in parts]
        # The store has compared a checksum of every part, so its own MD5s are those of what it was sent.
        md5s = [part.digest.md5 or (bytes.fromhex(part.etag) if is_md5(part.etag) else b"") for part in parts]
        expected = (composed_etag(md5s),) if all(md5s) else ()
        checksums = [part.digest.checksum for part in parts] if upload.checksum else []
        try:
            with uploads.awaiting_response():
                answered = await uploads.bucket.complete_multipart(self._key, upload, etags, checksums)
        except RequestFailed as error:
            if error.status != _NOT_FOUND:
                raise
            # The upload is gone: an attempt whose response was lost has completed it. What lies at the key will tell.
            return expected
        uploads.sent.files += 1
        # Encrypted: the ETag is no digest, but the store has compared a digest of every part.
        no_digest = upload.encrypted or uploads.bucket.uses_customer_key or bool(upload.checksum)
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
