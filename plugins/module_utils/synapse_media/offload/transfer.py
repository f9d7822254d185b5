# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Transfers one window: uploads what is missing, and proves or replaces what is in the bucket already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..disk.content import Content
from ..errors import MediaError, RequestFailed
from ..event_loop.loop import Task
from ..proof.conflict import proves_file, refuse_disagreement
from ..proof.object_index import Found, LookupResult, ask
from ..s3.multipart import LARGE, LARGEST_WHOLE, upload_parts
from ..s3.uploads import Uploaded
from .context import Context
from .selection import Candidate
from .settle import confirm, confirm_one, settle, settle_all

# A file of up to LARGEST_WHOLE is uploaded in parts if there are too few of them to use all connections.
_PARTS_OF_ONE = 3
# Contents that wait for a connection, in bytes over all of them.
_MOST_KEPT = 32 * 1024 * 1024
_LARGEST_KEPT = 128 * 1024


async def transfer(context: Context, candidates: Sequence[Candidate], responses: Mapping[str, LookupResult]) -> None:
    """What became of each file goes into the report. Raises StoreError if the store refuses the whole run.

    Large files are still under way afterwards, as tasks in context.uploads.background.
    """
    missing: list[Candidate] = []
    present: list[tuple[Candidate, Found]] = []
    for candidate in candidates:
        response = responses[context.key(candidate.file)]
        if isinstance(response, RequestFailed):
            context.fail(candidate.file, response)
        elif response is None:
            missing.append(candidate)
        else:
            present.append((candidate, response))
    settled = context.loop.start(_settle(context, present))
    uploads = await _upload(context, missing, repaired=False)
    uploads += await settled
    if not context.rehearse:
        await confirm(context, sorted(uploads, key=lambda upload: upload.file.path))


async def _settle(context: Context, present: Sequence[tuple[Candidate, Found]]) -> list[Uploaded]:
    """Uploads over objects that the database proves wrong."""
    if not present:
        return []
    return await _upload(context, await settle_all(context, present), repaired=True)


async def _upload(context: Context, candidates: Sequence[Candidate], *, repaired: bool) -> list[Uploaded]:
    """Returns the uploads that the store took. A dry run reads the files too, so that damaged ones are reported."""
    large = [candidate for candidate in candidates if candidate.file.size >= LARGE]
    in_parts_from = LARGE if len(large) * _PARTS_OF_ONE <= context.settings.concurrency else LARGEST_WHOLE
    for candidate in large:
        await context.large_files.enter()
        in_parts = candidate.file.size >= in_parts_from
        context.uploads.background.append(context.loop.start(_move_large(context, candidate, repaired, in_parts)))
    batches: list[Task[list[Task[Uploaded | None]]]] = []
    for batch in context.batches([candidate for candidate in candidates if candidate.file.size < LARGE]):
        # One batch at a time: two that each hold a part of what they need would wait for each other for ever.
        async with context.batch_turn:
            for dummy in batch:
                await context.small_files.enter()
        batches.append(context.loop.start(_upload_batch(context, batch, repaired)))
    uploads = [await task for batch_task in batches for task in await batch_task]
    return [upload for upload in uploads if upload is not None]


async def _upload_batch(context: Context, batch: Sequence[Candidate], repaired: bool) -> list[Task[Uploaded | None]]:
    kept = 0 if context.rehearse else min(_LARGEST_KEPT, _MOST_KEPT // context.settings.concurrency)
    contents = await context.read(batch, keep=kept, to_upload=not context.rehearse)
    tasks: list[Task[Uploaded | None]] = []
    for candidate, content in zip(batch, contents):
        if content is None:
            context.small_files.leave()
        elif context.rehearse:
            context.small_files.leave()
            context.taken(candidate.file, repaired=repaired)
        else:
            tasks.append(context.loop.start(_put(context, candidate, content, repaired)))
    return tasks


async def _put(context: Context, candidate: Candidate, content: Content, repaired: bool) -> Uploaded | None:
    file, row = candidate
    try:
        upload = await context.uploads.upload_whole(
            file, content, may_replace=proves_file(file, row), repaired=repaired
        )
        if upload is None:
            return await _put_over_what_was_left_out(context, candidate)
    except MediaError as error:
        context.failed(file, error)
        return None
    finally:
        context.small_files.leave()
    return upload


async def _put_over_what_was_left_out(context: Context, candidate: Candidate) -> Uploaded | None:
    """For an object that the listing did not name. Raises as upload_whole()."""
    (content,) = await context.read([candidate], keep=0)
    if content is None or not await _replaces(context, candidate, content):
        return None
    return await context.uploads.upload_whole(candidate.file, content, may_replace=True, repaired=True)


async def _replaces(context: Context, candidate: Candidate, content: Content | None) -> bool:
    """Whether the file is to replace the object at its key. False: it was proven and unlinked, or is reported."""
    found = await ask(context.bucket, context.key(candidate.file))
    if isinstance(found, RequestFailed):
        raise found
    return found is None or await settle(context, candidate, found, content)


async def _move_large(context: Context, candidate: Candidate, repaired: bool, in_parts: bool) -> None:
    """Does everything for one large file, up to its unlink."""
    file = candidate.file
    try:
        # Checked before anything is sent; the SHA-256 is known only when all of it was read.
        refuse_disagreement(file, None, candidate.row)
        if context.rehearse:
            if await context.read([candidate], keep=0) != [None]:
                context.taken(file, repaired=repaired)
            return
        upload = await (_in_parts if in_parts else _in_one)(context, candidate, repaired)
        if upload is not None:
            await confirm_one(context, upload)
    except MediaError as error:
        context.failed(file, error)
    finally:
        context.large_files.leave()


async def _in_one(context: Context, candidate: Candidate, repaired: bool) -> Uploaded | None:
    # Costs two requests, and saves more than half of the work.
    await context.uploads.checks.begin_checksum()
    (content,) = await context.read([candidate], keep=0, to_upload=True)
    if content is None:
        return None
    may_replace = proves_file(*candidate)
    upload = await context.uploads.upload_whole(candidate.file, content, may_replace=may_replace, repaired=repaired)
    return upload or await _put_over_what_was_left_out(context, candidate)


async def _in_parts(context: Context, candidate: Candidate, repaired: bool) -> Uploaded | None:
    if not repaired and await context.uploads.new_objects.exists(context.key(candidate.file)):
        if not await _replaces(context, candidate, None):
            return None
        repaired = True
    file, row = candidate
    return await upload_parts(
        context.uploads,
        file,
        lambda sha256: refuse_disagreement(file, sha256, row),
        wants_sha256=proves_file(file, row),
        repaired=repaired,
    )
