# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One window of files: what is missing is uploaded, what is there is proven or replaced, what is proven is unlinked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import MediaError
from .confirm import confirm, confirm_one
from .conflict import proves_file, refuse_disagreement
from .content import Content
from .context import Context
from .multipart import LARGE, LARGEST_WHOLE, upload_parts
from .outcome import taken, tell
from .presence import Answer, Found, ask
from .reading import read_batches, read_contents
from .settle import settle, settle_all
from .transport.client import RequestFailed
from .transport.loop import Task
from .upload import Uploaded, upload_whole
from .windows import Candidate

# A file of up to LARGEST_WHOLE goes in parts where so many of its like would not fill the connections.
_PARTS_OF_ONE = 3
# Contents that wait for their turn on the wire, in bytes over all of them.
_MOST_KEPT = 32 * 1024 * 1024
_LARGEST_KEPT = 128 * 1024


async def transfer(context: Context, candidates: Sequence[Candidate], answers: Mapping[str, Answer]) -> None:
    """What became of each file goes into the report. Raises StoreError where the store refuses the whole run.

    Large files are still under way afterwards, as tasks in context.large_uploads.
    """
    missing: list[Candidate] = []
    present: list[tuple[Candidate, Found]] = []
    for candidate in candidates:
        answer = answers[context.key(candidate.file)]
        if isinstance(answer, RequestFailed):
            context.fail(candidate.file, answer)
        elif answer is None:
            missing.append(candidate)
        else:
            present.append((candidate, answer))
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
    """Those that the store said it took. A dry run reads the files all the same: what is damaged would not be taken."""
    crowd = sum(candidate.file.size >= LARGE for candidate in candidates) * _PARTS_OF_ONE
    in_parts_from = LARGE if crowd <= context.settings.concurrency else LARGEST_WHOLE
    small: list[Candidate] = []
    for candidate in candidates:
        if candidate.file.size < in_parts_from:
            small.append(candidate)
        else:
            await context.large_files.enter()
            context.large_uploads.append(context.loop.start(_move_large(context, candidate, repaired)))
    batches: list[Task[list[Task[Uploaded | None]]]] = []
    for batch in read_batches(context, small):
        # One batch at a time: several that hold a part of what they need would wait for each other for ever.
        async with context.batch_turn:
            for dummy in batch:
                await context.small_files.enter()
        batches.append(context.loop.start(_upload_batch(context, batch, repaired)))
    uploads = [await task for batch_task in batches for task in await batch_task]
    return [upload for upload in uploads if upload is not None]


async def _upload_batch(context: Context, batch: Sequence[Candidate], repaired: bool) -> list[Task[Uploaded | None]]:
    kept = 0 if context.rehearse else min(_LARGEST_KEPT, _MOST_KEPT // context.settings.concurrency)
    contents = await read_contents(context, batch, keep=kept)
    tasks: list[Task[Uploaded | None]] = []
    for candidate, content in zip(batch, contents):
        if content is None:
            context.small_files.leave()
        elif context.rehearse:
            context.small_files.leave()
            taken(context, candidate.file, repaired=repaired)
        else:
            tasks.append(context.loop.start(_put(context, candidate, content, repaired)))
    return tasks


async def _put(context: Context, candidate: Candidate, content: Content, repaired: bool) -> Uploaded | None:
    file, row = candidate
    try:
        upload = await upload_whole(context, file, content, may_replace=proves_file(file, row), repaired=repaired)
        if upload is None:
            return await _put_over_what_was_left_out(context, candidate, content)
    except MediaError as error:
        tell(context, file, error)
        return None
    finally:
        context.small_files.leave()
    return upload


async def _put_over_what_was_left_out(context: Context, candidate: Candidate, content: Content) -> Uploaded | None:
    """For an object that the listing did not name. Raises as upload_whole()."""
    if await _replaces(context, candidate, content):
        return await upload_whole(context, candidate.file, content, may_replace=True, repaired=True)
    return None


async def _replaces(context: Context, candidate: Candidate, content: Content | None) -> bool:
    """Whether the file is to replace the object at its key. False: it was proven and unlinked, or is told."""
    found = await ask(context.s3, context.key(candidate.file))
    if isinstance(found, RequestFailed):
        raise found
    return found is None or await settle(context, candidate, found, content)


async def _move_large(context: Context, candidate: Candidate, repaired: bool) -> None:
    """All that is to be done with one file, up to its unlink."""
    file, row = candidate
    try:
        # Before anything is sent; the digest is known only at the end.
        refuse_disagreement(file, None, row)
        if context.rehearse:
            if await read_contents(context, [candidate], keep=0) != [None]:
                taken(context, file, repaired=repaired)
            return
        if not repaired and await context.new_objects.exists(context.key(file)):
            if not await _replaces(context, candidate, None):
                return
            repaired = True
        await confirm_one(context, await upload_parts(context, file, row, repaired=repaired))
    except MediaError as error:
        tell(context, file, error)
    finally:
        context.large_files.leave()
