# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proves files to be in the bucket and unlinks them: those that were there before, and those that were uploaded.

A response of 200 to an upload is no proof: the object has to be listed, of the size and with the digest of its file.
An unlink rests on a recent response of the store: in a slow run a listing may be hours old when its turn comes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from ..disk.content import Content, ContentProblem
from ..disk.local_file import LocalFile
from ..errors import MediaError, RequestFailed
from ..event_loop.loop import Task
from ..proof.conflict import refuse_conflict
from ..proof.evidence import Proven, Unproven
from ..proof.object_index import PAGE, PAGE_PAYS, Found, ObjectIndex, ask
from ..s3.uploads import Uploaded
from .context import Context
from .selection import Candidate

# Uploads that are confirmed before the first of them is unlinked.
_BATCH = 128


async def settle_all(context: Context, present: Sequence[tuple[Candidate, Found]]) -> list[Candidate]:
    """Unlinks what the bucket has already, and returns the files that are to replace their object.

    Raises StoreError if the store refuses the whole run.
    """
    objects = {candidate.file.path: found for candidate, found in present}
    await _check_that_listings_prove(context, present, objects)
    tasks = []
    for batch in context.batches([candidate for candidate, dummy in present]):
        await context.settling.enter()
        tasks.append(context.loop.start(_settle_batch(context, batch, objects)))
    return [candidate for task in tasks for candidate in await task]


async def settle(context: Context, candidate: Candidate, found: Found, content: Content | None) -> bool:
    """As settle_all() for one file; true if it is to replace its object. Raises the MediaError that is its end."""
    if content is None:
        (content,) = await context.read([candidate], keep=0)
        if content is None:
            return False
    outcome = await _judge(context, candidate, content, found)
    if isinstance(outcome, Proven):
        await remove_proven(context, [outcome])
        return False
    return True


async def _check_that_listings_prove(
    context: Context, present: Sequence[tuple[Candidate, Found]], objects: dict[str, Found]
) -> None:
    """A listing may show the digest of an object that nobody can read without another customer key: one HEAD tells."""
    readable = next(((candidate, found) for candidate, found in present if not found.archived), None)
    if not context.listing_proves or readable is None:
        return
    candidate, found = readable
    try:
        objects[candidate.file.path] = await context.evidence.look_closer(candidate.file, found)
    except Unproven:
        # The file itself is reported when its turn comes.
        context.listing_proves = False


async def _settle_batch(context: Context, batch: Sequence[Candidate], objects: dict[str, Found]) -> list[Candidate]:
    try:
        contents = await context.read(batch, keep=0)
        proven: list[Proven] = []
        slow: list[tuple[Candidate, Task[Proven | MediaError | None]]] = []
        for candidate, content in zip(batch, contents):
            if content is None:
                continue
            found = objects[candidate.file.path]
            if _proven_by_listing(context, content, found):
                proven.append(Proven(candidate.file, content.identity, found=found))
            else:
                slow.append((candidate, context.loop.start(_judge_quietly(context, candidate, content, found))))
        replacing: list[Candidate] = []
        for candidate, task in slow:
            outcome = await task
            if isinstance(outcome, Proven):
                proven.append(outcome)
            elif outcome is None:
                replacing.append(candidate)
            else:
                context.failed(candidate.file, outcome)
        await remove_proven(context, proven)
        return replacing
    finally:
        context.settling.leave()


def _proven_by_listing(context: Context, content: Content, found: Found) -> bool:
    return (
        context.listing_proves
        and found.size == content.identity.size
        and found.etag == content.md5.hex()
        and not found.archived
        and not found.needs_head
    )


async def _judge_quietly(
    context: Context, candidate: Candidate, content: Content, found: Found
) -> Proven | MediaError | None:
    try:
        return await _judge(context, candidate, content, found)
    except MediaError as error:
        return error


async def _judge(context: Context, candidate: Candidate, content: Content, found: Found) -> Proven | None:
    """None if the file is to replace the object. Raises the MediaError that is the end of this file, or the run."""
    file, row = candidate
    if not context.listing_proves or found.needs_head:
        found = await context.evidence.look_closer(file, found)
    if await context.evidence.is_copy(file, content, found):
        return Proven(file, content.identity, found=found)
    refuse_conflict(file, row, await _thumbnail_lengths(context, file), found.size)
    return None


async def _thumbnail_lengths(context: Context, file: LocalFile) -> set[int]:
    if file.is_original:
        return set()
    lengths = await context.files.in_thread(context.rows.thumbnail_lengths, [file.media])
    found: set[int] = lengths.get(file.media, set())
    return found


async def confirm(context: Context, uploads: Sequence[Uploaded]) -> None:
    """Looks up every upload in the bucket, and unlinks what is there. Raises StoreError, which ends the run."""
    # One page for every thousand objects that these uploads have added, so that the whole run lists at most one page
    # for every thousand objects, and one more. If all objects are of this run, a page that is not full covers all of
    # them too, and saves a request for each.
    full_pages, rest = divmod(len(uploads), PAGE)
    most_lists = full_pages + (1 if context.uploads.new_objects.nothing_there and rest >= PAGE_PAYS else 0)
    index = ObjectIndex(context.loop, context.bucket, most_lists=most_lists)
    answers = await index.look_up([context.key(upload.file) for upload in uploads])
    for start in range(0, len(uploads), _BATCH):
        proven: list[Proven] = []
        slow: list[tuple[Uploaded, Task[Found | MediaError]]] = []
        for upload in uploads[start : start + _BATCH]:
            found = answers[context.key(upload.file)]
            if isinstance(found, Found) and _is_upload(upload, found) and not found.archived:
                proven.append(_arrived(context, upload, found))
            else:
                slow.append((upload, context.loop.start(_look(context, upload))))
        for upload, task in slow:
            outcome = await task
            if isinstance(outcome, Found):
                proven.append(_arrived(context, upload, outcome))
            else:
                context.failed(upload.file, outcome)
        await remove_proven(context, proven)


async def confirm_one(context: Context, upload: Uploaded) -> None:
    """As confirm(), for one file, by a HEAD."""
    outcome = await _look(context, upload)
    if isinstance(outcome, MediaError):
        raise outcome
    await remove_proven(context, [_arrived(context, upload, outcome)])


def _is_upload(upload: Uploaded, found: Found) -> bool:
    return found.size == upload.identity.size and found.etag in upload.etags


async def _look(context: Context, upload: Uploaded) -> Found | MediaError:
    """The object, compared by every means, since a listing may lag or give another ETag; or the error."""
    found = await ask(context.bucket, context.key(upload.file))
    if isinstance(found, RequestFailed):
        return found
    if found is None:
        return Unproven("The store answered that it took the file, and has no object. Look into the store's own log.")
    if _is_upload(upload, found) and not found.archived:
        return found
    try:
        (content,) = await context.files.read([(upload.file, False, False)])
        if isinstance(content, ContentProblem):
            return content
        if await context.evidence.is_copy(upload.file, content, found):
            return found
    except MediaError as error:
        return error
    return Unproven(
        f"The store answered that it took the file, and its object differs ({found.size} bytes, ETag {found.etag}). "
        "Look into the store's own log."
    )


def _arrived(context: Context, upload: Uploaded, found: Found) -> Proven:
    context.taken(upload.file, repaired=upload.repaired)
    return Proven(upload.file, upload.identity, uploaded=True, found=found)


async def remove_proven(context: Context, proven: Sequence[Proven]) -> None:
    """Unlinks the files if the run deletes, and reports each. Raises StoreError, which ends the run."""
    if context.rehearse or not context.settings.delete_local:
        for one in proven:
            if not one.uploaded:
                context.proven_only(one)
        return
    leaving = [one for one in proven if not context.keeps(one)]
    oldest = time.monotonic() - context.settings.evidence_age.total_seconds()
    fresh = [one for one in leaving if _asked_at(one) >= oldest]
    if len(fresh) < len(leaving):
        tasks = [context.loop.start(_asked_again(context, one)) for one in leaving if _asked_at(one) < oldest]
        again = [one for one in [await task for task in tasks] if one is not None]
        # An equal object may have replaced the one that was old enough.
        fresh += [one for one in again if not context.keeps(one)]
    if fresh:
        await context.removals.remove(fresh)


def _asked_at(proven: Proven) -> float:
    return proven.found.asked_at if proven.found is not None else -math.inf


async def _asked_again(context: Context, proven: Proven) -> Proven | None:
    """With the store's response of now. None, and reported, if the object is not what was proven any more."""
    try:
        return await context.evidence.ask_again(proven)
    except MediaError as error:
        context.failed(proven.file, error)
        return None
