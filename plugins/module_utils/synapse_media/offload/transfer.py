# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One window of files: upload what is missing or differs, prove everything, unlink what is proven."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from ..errors import MediaError, StoreError
from .content import CHANGED, VANISHED, Content, ContentProblem, read_batch
from .context import Context
from .local_file import LocalFile, Proven
from .multipart import LARGE, Disagreement, refuse_disagreement, upload_parts
from .presence import PAGE, Answer, Found, Presence, ask
from .proof import Unproven, is_proven
from .report import DELETED, REPAIRED, UPLOADED, VERIFIED
from .transport.client import RequestFailed
from .transport.loop import Semaphore, Task
from .upload import Uploaded, upload_whole
from .windows import Candidate

T = TypeVar("T")

# What one thread is given at a time: enough to make the hand-over cheap, little enough to keep the wire fed.
_READ_BATCH = 32
_PROVE_BATCH = 64
_REMOVE_BATCH = 128
# Contents that wait for their turn on the wire, in bytes over all of them.
_MOST_KEPT = 32 * 1024 * 1024
_LARGEST_KEPT = 128 * 1024


async def transfer(context: Context, candidates: Sequence[Candidate], answers: Mapping[str, Answer]) -> None:
    """What became of each file goes into the report. Raises StoreError where the store refuses the whole run."""
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
    differing = await _repairable(context, await _verify(context, present))
    uploaded = await _upload(context, missing, repaired=False) + await _upload(context, differing, repaired=True)
    if not context.rehearse:
        await _confirm(context, sorted(uploaded, key=lambda upload: upload.file.path))


async def _repairable(context: Context, differing: Sequence[tuple[Candidate, Found]]) -> list[Candidate]:
    """Those whose local file is known to be the good one. A thumbnail's own length is in tables of its own."""
    thumbnails = [candidate.file.media for candidate, dummy in differing if not candidate.file.is_original]
    lengths = await context.loop.in_thread(context.rows.thumbnail_lengths, thumbnails) if thumbnails else {}
    repairable = []
    for candidate, found in differing:
        file = candidate.file
        known = set() if file.is_original else lengths.get(file.media, set())
        if (known and file.size not in known) or (file.size == 0 and found.size > 0):
            context.fail(
                file,
                f"The file has {file.size} bytes, its object {found.size}, and the file is not what Synapse made. "
                "Compare both; the one that is damaged is to be removed.",
            )
        else:
            repairable.append(candidate)
    return repairable


async def _verify(context: Context, present: Sequence[tuple[Candidate, Found]]) -> list[tuple[Candidate, Found]]:
    """Unlinks what the bucket has already; gives back what differs there."""
    differing: list[tuple[Candidate, Found]] = []
    for batch in _chunks(present, _PROVE_BATCH):
        contents = await _read(context, [candidate for candidate, dummy in batch], keep=0)
        proven: list[Proven] = []
        slow: list[tuple[Candidate, Found, Content, Task[bool | MediaError]]] = []
        for (candidate, found), content in zip(batch, contents):
            if content is None:
                continue
            if found.size == content.identity.size and found.etag == content.md5.hex():
                proven.append(_verified(context, candidate.file, content))
            else:
                task = context.loop.start(_judge(context, candidate.file, content, found))
                slow.append((candidate, found, content, task))
        for candidate, found, content, task in slow:
            verdict = await task
            if verdict is True:
                proven.append(_verified(context, candidate.file, content))
            elif verdict is False:
                differing.append((candidate, found))
            else:
                _tell(context, candidate.file, verdict)
        await _remove(context, proven)
    return differing


async def _judge(context: Context, file: LocalFile, content: Content, found: Found) -> bool | MediaError:
    try:
        return await is_proven(context, file, content, found)
    except (Unproven, ContentProblem) as error:
        return error


def _verified(context: Context, file: LocalFile, content: Content) -> Proven:
    context.report.done(VERIFIED, file.path, file.size)
    return Proven(file, content.identity)


async def _upload(context: Context, candidates: Sequence[Candidate], *, repaired: bool) -> list[Uploaded]:
    """Those that the store said it took. A dry run reads the files all the same: what is damaged would not be taken."""
    small = [candidate for candidate in candidates if candidate.file.size < LARGE]
    large = [candidate for candidate in candidates if candidate.file.size >= LARGE]
    kept = min(_LARGEST_KEPT, _MOST_KEPT // context.settings.concurrency)
    # Room for a batch that is read while the connections are busy.
    room = Semaphore(context.loop, context.settings.concurrency + _READ_BATCH)
    tasks: list[Task[Uploaded | None]] = []
    for batch in _chunks(small, _READ_BATCH):
        for dummy in batch:
            await room.enter()
        contents = await _read(context, batch, keep=0 if context.rehearse else kept)
        for candidate, content in zip(batch, contents):
            if content is None:
                room.leave()
            elif context.rehearse:
                room.leave()
                _taken(context, candidate.file, repaired)
            else:
                tasks.append(context.loop.start(_put(context, candidate, content, room, repaired)))
    uploads = [await task for task in tasks]
    # One large file at a time: its parts fill the connections.
    for candidate in large:
        uploads.append(await _put_large(context, candidate, repaired))
    return [upload for upload in uploads if upload is not None]


async def _put(
    context: Context, candidate: Candidate, content: Content, room: Semaphore, repaired: bool
) -> Uploaded | None:
    try:
        return await upload_whole(context, candidate.file, content, repaired=repaired)
    except (RequestFailed, ContentProblem) as error:
        _tell(context, candidate.file, error)
        return None
    finally:
        room.leave()


async def _put_large(context: Context, candidate: Candidate, repaired: bool) -> Uploaded | None:
    if context.rehearse:
        if await _read(context, [candidate], keep=0) != [None]:
            _taken(context, candidate.file, repaired)
        return None
    try:
        # Before anything is sent; the digest is known only at the end.
        refuse_disagreement(candidate.file, None, candidate.row)
        return await upload_parts(context, candidate.file, candidate.row, repaired=repaired)
    except (RequestFailed, ContentProblem, Disagreement) as error:
        _tell(context, candidate.file, error)
        return None


async def _confirm(context: Context, uploads: Sequence[Uploaded]) -> None:
    """An answer of 200 is no proof: the object has to be there, of the size and with the digest of its file."""
    # A page for every thousand objects that these uploads have added: the run as a whole then lists no more than once
    # for every thousand objects there are, and once more.
    presence = Presence(context.loop, context.s3, most_lists=len(uploads) // PAGE)
    answers = await presence.look_up([context.key(upload.file) for upload in uploads])
    for batch in _chunks(uploads, _REMOVE_BATCH):
        slow = []
        proven: list[Proven] = []
        for upload in batch:
            found = answers[context.key(upload.file)]
            if isinstance(found, Found) and found.size == upload.identity.size and found.etag in upload.etags:
                proven.append(_arrived(context, upload))
            else:
                slow.append((upload, context.loop.start(_has_arrived(context, upload))))
        for upload, task in slow:
            error = await task
            if error is None:
                proven.append(_arrived(context, upload))
            else:
                _tell(context, upload.file, error)
        await _remove(context, proven)


async def _has_arrived(context: Context, upload: Uploaded) -> MediaError | None:
    """None where the object is proven by all means there are; a listing may lag behind or give another ETag."""
    found = await ask(context.s3, context.key(upload.file))
    if isinstance(found, RequestFailed):
        return found
    if found is None:
        return Unproven("The store answered that it took the file, and has no object. Look into the store's own log.")
    if found.size == upload.identity.size and found.etag in upload.etags:
        return None
    try:
        (content,) = await context.loop.in_thread(
            read_batch, context.root, [(upload.file, False, False)], context.is_stopping
        )
        if isinstance(content, ContentProblem):
            return content
        if await is_proven(context, upload.file, content, found):
            return None
    except (Unproven, ContentProblem) as error:
        return error
    return Unproven(
        f"The store answered that it took the file, and its object differs ({found.size} bytes, ETag {found.etag}). "
        "Look into the store's own log."
    )


def _arrived(context: Context, upload: Uploaded) -> Proven:
    _taken(context, upload.file, upload.repaired)
    return Proven(upload.file, upload.identity)


def _taken(context: Context, file: LocalFile, repaired: bool) -> None:
    context.report.done(REPAIRED if repaired else UPLOADED, file.path, file.size)
    if context.rehearse and context.settings.delete_local:
        context.report.done(DELETED, file.path, file.size)


async def _read(context: Context, candidates: Sequence[Candidate], *, keep: int) -> list[Content | None]:
    """Contents of up to `keep` bytes are kept. None, and told, where a file is not to be taken."""
    wanted = [(file, row.sha256 is not None and file.is_original, file.size <= keep) for file, row in candidates]
    contents: list[Content | None] = []
    read = await context.loop.in_thread(read_batch, context.root, wanted, context.is_stopping)
    for (file, row), content in zip(candidates, read):
        if isinstance(content, ContentProblem):
            _tell(context, file, content)
            contents.append(None)
            continue
        try:
            refuse_disagreement(file, content.sha256, row)
        except Disagreement as error:
            context.fail(file, error)
            contents.append(None)
            continue
        contents.append(content)
    return contents


async def _remove(context: Context, proven: Sequence[Proven]) -> None:
    if not context.settings.delete_local or not proven:
        return
    if context.rehearse:
        for file, dummy in proven:
            context.report.done(DELETED, file.path, file.size)
        return
    await context.removals.remove(proven)


def _tell(context: Context, file: LocalFile, error: MediaError) -> None:
    if isinstance(error, StoreError):
        raise error
    if isinstance(error, ContentProblem) and error.reason in (CHANGED, VANISHED):
        # Synapse is at work on it; the next run sees what came of it.
        context.report.skip(error.reason, file.size)
    else:
        context.fail(file, error)


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
