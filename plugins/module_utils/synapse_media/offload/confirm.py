# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An answer of 200 is no proof: the object has to be there, of the size and with the digest of its file."""

from __future__ import annotations

from collections.abc import Sequence

from ..disk.content import ContentProblem
from ..disk.local_file import Proven
from ..errors import MediaError
from ..event_loop.loop import Task
from ..proof.evidence import Unproven, is_proven
from ..proof.object_index import PAGE, Found, Presence, ask
from ..s3.client import RequestFailed
from ..s3.uploads import Uploaded
from .context import Context
from .evidence import remove_proven
from .outcome import taken, tell

# Uploads that are confirmed before the first of them is unlinked.
_BATCH = 128


async def confirm(context: Context, uploads: Sequence[Uploaded]) -> None:
    """Looks every upload up in the bucket, and unlinks what is there. Raises StoreError, which ends the run."""
    # A page for every thousand objects that these uploads have added: the run as a whole then lists no more than once
    # for every thousand objects there are, and once more.
    presence = Presence(context.loop, context.s3, most_lists=len(uploads) // PAGE)
    answers = await presence.look_up([context.key(upload.file) for upload in uploads])
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
                tell(context, upload.file, outcome)
        await remove_proven(context, proven)


async def confirm_one(context: Context, upload: Uploaded) -> None:
    """As confirm(), for one file that is not worth a page."""
    outcome = await _look(context, upload)
    if isinstance(outcome, MediaError):
        raise outcome
    await remove_proven(context, [_arrived(context, upload, outcome)])


def _is_upload(upload: Uploaded, found: Found) -> bool:
    return found.size == upload.identity.size and found.etag in upload.etags


async def _look(context: Context, upload: Uploaded) -> Found | MediaError:
    """The object, proven by all means there are: a listing may lag behind or give another ETag. Else what is wrong."""
    found = await ask(context.s3, context.key(upload.file))
    if isinstance(found, RequestFailed):
        return found
    if found is None:
        return Unproven("The store answered that it took the file, and has no object. Look into the store's own log.")
    if _is_upload(upload, found) and not found.archived:
        return found
    try:
        (content,) = await context.read([(upload.file, False, False)])
        if isinstance(content, ContentProblem):
            return content
        if await is_proven(context, upload.file, content, found):
            return found
    except MediaError as error:
        return error
    return Unproven(
        f"The store answered that it took the file, and its object differs ({found.size} bytes, ETag {found.etag}). "
        "Look into the store's own log."
    )


def _arrived(context: Context, upload: Uploaded, found: Found) -> Proven:
    taken(context, upload.file, repaired=upload.repaired)
    return Proven(upload.file, upload.identity, uploaded=True, found=found)
