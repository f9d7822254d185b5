# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files with an object: proven equal and unlinked, or handed back where they differ and the file is the right one."""

from __future__ import annotations

from collections.abc import Sequence

from ..disk.content import Content
from ..disk.local_file import LocalFile, Proven
from ..errors import MediaError
from ..event_loop.loop import Task
from ..proof.conflict import refuse_conflict
from ..proof.evidence import Unproven, is_proven, look_closer
from ..proof.object_index import Found
from .context import Context
from .evidence import remove_proven
from .outcome import tell
from .reading import read_batches, read_contents
from .windows import Candidate


async def settle_all(context: Context, present: Sequence[tuple[Candidate, Found]]) -> list[Candidate]:
    """Unlinks what the bucket has already; gives back those that are to replace their object.

    Raises StoreError where the store refuses the whole run.
    """
    objects = {candidate.file.path: found for candidate, found in present}
    await _check_that_listings_prove(context, present, objects)
    tasks = []
    for batch in read_batches(context, [candidate for candidate, dummy in present]):
        await context.settling.enter()
        tasks.append(context.loop.start(_settle_batch(context, batch, objects)))
    return [candidate for task in tasks for candidate in await task]


async def settle(context: Context, candidate: Candidate, found: Found, content: Content | None) -> bool:
    """As settle_all() for one file; true where it is to replace its object. Raises the MediaError that is its end."""
    if content is None:
        (content,) = await read_contents(context, [candidate], keep=0)
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
        objects[candidate.file.path] = await look_closer(context, candidate.file, found)
    except Unproven:
        # The file itself is told when its turn comes.
        context.listing_proves = False


async def _settle_batch(context: Context, batch: Sequence[Candidate], objects: dict[str, Found]) -> list[Candidate]:
    try:
        contents = await read_contents(context, batch, keep=0)
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
                tell(context, candidate.file, outcome)
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
    """None where the file is to replace the object. Raises the MediaError that is the end of this file, or the run."""
    file, row = candidate
    if not context.listing_proves or found.needs_head:
        found = await look_closer(context, file, found)
    if await is_proven(context, file, content, found):
        return Proven(file, content.identity, found=found)
    refuse_conflict(file, row, await _thumbnail_lengths(context, file), found.size)
    return None


async def _thumbnail_lengths(context: Context, file: LocalFile) -> set[int]:
    if file.is_original:
        return set()
    lengths = await context.in_thread(context.rows.thumbnail_lengths, [file.media])
    found: set[int] = lengths.get(file.media, set())
    return found
