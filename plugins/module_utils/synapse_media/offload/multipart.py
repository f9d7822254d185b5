# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A large file into the bucket part by part, several at a time, each with a digest that the store checks."""

from __future__ import annotations

import os

from ..errors import MediaError
from .content import CHANGED, UNREADABLE, ContentProblem, digest_part, digest_sha256, disagreement, open_file
from .context import Context
from .digests import MIB, composed_etag, parts_of
from .local_file import LocalFile, identity_of
from .rows import Row
from .transport.client import FilePart, RequestFailed
from .transport.loop import Semaphore
from .upload import Uploaded

LARGE = 16 * MIB
_PART = 8 * MIB
_MOST_PARTS = 10_000  # of one upload, a limit of S3's
_PARTS_IN_FLIGHT = 32
_NOT_FOUND = 404


class Disagreement(MediaError):
    """The file is not what Synapse's database says of it."""


def refuse_disagreement(file: LocalFile, sha256: bytes | None, row: Row) -> None:
    """Raises Disagreement where an original is not what its row says; thumbnails have no such row."""
    words = disagreement(file.size, sha256, row) if file.is_original else None
    if words is not None:
        raise Disagreement(f"The file is not the one that Synapse took: {words}. Compare it with a backup; it stays.")


async def upload_parts(context: Context, file: LocalFile, row: Row, *, repaired: bool) -> Uploaded:
    """Completes the upload only of the very file that the walk saw and the row describes; else aborts it.

    Raises Disagreement, RequestFailed, ContentProblem, or StoreError where the store refuses the whole run.
    """
    key = context.key(file)
    descriptor = await context.loop.in_thread(open_file, context.root, file)
    try:
        upload_id = await context.s3.create_multipart(key)
        context.unfinished.add((key, upload_id))
        try:
            etag = await _upload(context, file, row, descriptor, upload_id)
        except MediaError:
            await _abort(context, key, upload_id)
            raise
        context.unfinished.discard((key, upload_id))
    finally:
        os.close(descriptor)
    return Uploaded(file, file.identity, etag, repaired)


async def abort_unfinished(context: Context) -> None:
    """Takes back what a stopped run had begun to upload, as far as the store lets it."""
    for key, upload_id in list(context.unfinished):
        await _abort(context, key, upload_id)


async def _abort(context: Context, key: str, upload_id: str) -> None:
    try:
        await context.s3.abort_multipart(key, upload_id)
    except MediaError:
        # The error that led here is the one to tell; an unfinished upload is no object, and lifecycle rules remove it.
        return
    context.unfinished.discard((key, upload_id))


async def _upload(context: Context, file: LocalFile, row: Row, descriptor: int, upload_id: str) -> tuple[str, ...]:
    length = part_length(file.size)
    problems: list[MediaError] = []
    whole = None
    if file.is_original and row.sha256 is not None:
        whole = context.loop.start(_sha256(context, descriptor, file.size, problems))
    gate = Semaphore(context.loop, min(_PARTS_IN_FLIGHT, context.settings.concurrency))
    tasks = [
        context.loop.start(_part(context, file, upload_id, number, FilePart(descriptor, offset, count), gate, problems))
        for number, (offset, count) in enumerate(parts_of(file.size, length), start=1)
    ]
    parts = [await task for task in tasks]
    sha256 = await whole if whole is not None else None
    if problems:
        raise problems[0]
    if identity_of(os.fstat(descriptor)) != file.identity:
        raise ContentProblem("The file changed while it was uploaded. The next run looks at it again.", CHANGED)
    refuse_disagreement(file, sha256, row)
    done = [part for part in parts if part is not None]
    expected = composed_etag([md5 for md5, dummy in done])
    try:
        answered = await context.s3.complete_multipart(context.key(file), upload_id, [etag for dummy, etag in done])
    except RequestFailed as error:
        if error.status != _NOT_FOUND:
            raise
        # The upload is gone: an attempt whose answer was lost has completed it. What lies at the key will tell.
        return (expected,)
    context.report.sent.files += 1
    # Encrypted with our key: the ETag is no digest, but the store has compared the MD5 of every part.
    return (expected, answered) if context.store.sse_customer_key else (expected,)


async def _part(
    context: Context,
    file: LocalFile,
    upload_id: str,
    number: int,
    body: FilePart,
    gate: Semaphore,
    problems: list[MediaError],
) -> tuple[bytes, str] | None:
    async with gate:
        if problems:
            return None
        try:
            md5 = await context.loop.in_thread(digest_part, *body)
            etag = await context.s3.upload_part(context.key(file), upload_id, number, body, md5)
        except (RequestFailed, ContentProblem) as error:
            problems.append(error)
        except OSError as error:
            problems.append(_unreadable(error))
        else:
            context.report.sent.bytes += body.length
            return md5, etag
        return None


async def _sha256(context: Context, descriptor: int, size: int, problems: list[MediaError]) -> bytes | None:
    try:
        # Nobody needs it any more once a part has failed.
        return await context.loop.in_thread(digest_sha256, descriptor, size, lambda: context.stopping or bool(problems))
    except ContentProblem as error:
        problems.append(error)
    except OSError as error:
        problems.append(_unreadable(error))
    return None


def _unreadable(error: OSError) -> ContentProblem:
    return ContentProblem(f"The file cannot be read ({error.strerror}). Look after the disk it is on.", UNREADABLE)


def part_length(size: int) -> int:
    """Bytes a part, in whole MiB, so that a file of `size` bytes needs no more parts than S3 takes."""
    smallest = -(-size // _MOST_PARTS)
    return max(_PART, -(-smallest // MIB) * MIB)
