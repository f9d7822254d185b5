# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Media that is named, by ids or by who uploaded it: two requests for each, or a listing where there are many."""

from __future__ import annotations

from collections.abc import Sequence

from ..database.rows import Row
from ..disk.layout import Media, content_path, is_media_path, is_ordinary, thumbnail_directory
from ..errors import RequestFailed
from ..proof.object_index import ask
from ..s3.objects import is_archive_class
from .context import Context
from .planning import Candidate, Planner, look_at
from .settings import local_media, split_mxc

# More media than this costs more requests than a listing of most buckets.
MOST_ASKED = 1000
# Media that are asked about at once, and thumbnails of one media that a page lists.
_AT_ONCE = 100
_PAGE = 100


async def plan_named(context: Context, planner: Planner) -> None:
    """Adds the files of the media that the selection names. Raises StoreError or MediaError."""
    media = sorted(await context.loop.in_thread(_find, context))
    if len(media) > MOST_ASKED:
        await planner.from_listing(set(media))
        return
    rows = await context.loop.in_thread(context.rows.look_up, media)
    chosen = [one for one in media if one in rows and not rows[one].url_cache and planner.is_recent(rows[one])]
    for start in range(0, len(chosen), _AT_ONCE):
        tasks = [context.loop.start(_ask(context, one, rows[one])) for one in chosen[start : start + _AT_ONCE]]
        for task in tasks:
            await planner.add(await task)


def _find(context: Context) -> set[Media]:
    """The media of all names; a name without a row fails."""
    selection = context.settings.selection
    found = context.rows.of_users(selection.users) if selection.users else set()
    names = [split_mxc(name) for name in selection.media_ids]
    remote = context.rows.remote_media([name for name in names if name[0]])
    others = {name: local_media(name[1]) for name in names if name not in remote}
    local = context.rows.look_up([one for one in others.values() if is_ordinary(one)])
    for name, one in others.items():
        if one in local:
            found.add(one)
        else:
            text = f"mxc://{name[0]}/{name[1]}" if name[0] else name[1]
            context.report.fail(text, "", "Synapse's database has no row of this media. Correct the id.")
    found.update(remote.values())
    return {one for one in found if is_ordinary(one)}


async def _ask(context: Context, media: Media, row: Row) -> Sequence[Candidate]:
    bucket = context.bucket
    path = content_path(media)
    candidates = []
    found = await ask(bucket, bucket.key(path))
    if isinstance(found, RequestFailed):
        context.fail(path, found)
    elif found is not None:
        candidates.append(Candidate(path, found.size, found.etag, found.archived, row))
    elif not await context.loop.in_thread(_is_on_disk, context.root, path):
        context.fail(path, "It is neither in the bucket nor on the disk.")
    if context.settings.selection.originals_only:
        return candidates
    directory = thumbnail_directory(media) + "/"
    after = bucket.key(directory)
    while after:
        page = await bucket.list_page(after, _PAGE)
        after = ""
        for listed in page.objects:
            below = listed.key[len(bucket.prefix) :]
            if not below.startswith(directory):
                break
            if is_media_path(below):
                archived = listed.storage_class if is_archive_class(listed.storage_class) else ""
                candidates.append(Candidate(below, listed.size, listed.etag, archived, row))
            after = listed.key if page.truncated and listed is page.objects[-1] else ""
    return candidates


def _is_on_disk(root: str, path: str) -> bool:
    return look_at(root, [path])[0] is not None
