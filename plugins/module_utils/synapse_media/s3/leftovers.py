# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Multipart uploads that an earlier run was killed in the middle of: their parts cost money and nobody sees them."""

from __future__ import annotations

import contextlib

from ..disk.layout import is_media_path
from ..errors import MediaError
from ..offload.context import Context

# Seconds: nothing that Synapse or a run of another host is still at takes that long.
_OLD = 24 * 3600.0


async def abort_leftovers(context: Context) -> None:
    """Aborts what was begun more than a day ago, under the prefix, for keys as Synapse's media have them.

    A store that does not list unfinished uploads, or does not let these keys list them, is left alone: nothing depends
    on it.
    """
    with contextlib.suppress(MediaError):
        after_key = after_id = ""
        while True:
            page = await context.s3.list_uploads(after_key, after_id)
            for upload in page.uploads:
                if upload.initiated < context.now - _OLD and _is_ours(upload.key, context.store.prefix):
                    await context.s3.abort_multipart(upload.key, upload.upload_id)
            # A store that repeats its page must not keep the run.
            if not page.next_key or (page.next_key, page.next_id) <= (after_key, after_id):
                return
            after_key, after_id = page.next_key, page.next_id


def _is_ours(key: str, prefix: str) -> bool:
    return key.startswith(prefix) and is_media_path(key[len(prefix) :])
