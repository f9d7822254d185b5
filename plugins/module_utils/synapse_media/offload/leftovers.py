# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Multipart uploads that an earlier run was killed in the middle of: their parts cost money and nobody sees them."""

from __future__ import annotations

import contextlib

from ..errors import MediaError
from ..layout import is_media_path
from .context import Context

# Seconds: nothing that Synapse or a run of another host is still at takes that long.
_OLD = 24 * 3600.0


async def abort_leftovers(context: Context) -> None:
    """Aborts what was begun more than a day ago, under the prefix, for keys as Synapse's media have them.

    A store that does not list unfinished uploads, or does not let these keys list them, is left alone: nothing depends
    on it.
    """
    with contextlib.suppress(MediaError):
        async for upload in context.s3.unfinished_uploads():
            if upload.initiated < context.now - _OLD and _is_ours(upload.key, context.store.prefix):
                await context.s3.abort_multipart(upload.key, upload.upload_id)


def _is_ours(key: str, prefix: str) -> bool:
    return key.startswith(prefix) and is_media_path(key[len(prefix) :])
