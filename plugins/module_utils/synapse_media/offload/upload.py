# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One file into the bucket in one request, with a digest that the store checks."""

from __future__ import annotations

import os
from typing import NamedTuple

from .content import Content, open_file
from .context import Context
from .local_file import Identity, LocalFile
from .transport.client import FilePart


class Uploaded(NamedTuple):
    """What the store said it took. An object of the file's size with one of the ETags is this upload."""

    file: LocalFile
    identity: Identity
    etags: tuple[str, ...]
    repaired: bool


async def upload_whole(context: Context, file: LocalFile, content: Content, *, repaired: bool) -> Uploaded:
    """Raises RequestFailed, ContentProblem, or StoreError where the store refuses the whole run."""
    key = context.key(file)
    if content.data is not None:
        info = await context.s3.put(key, content.data, content.md5)
    else:
        descriptor = await context.loop.in_thread(open_file, context.root, file)
        try:
            # Should the file change now, its MD5 no longer fits and the store refuses the request.
            info = await context.s3.put(key, FilePart(descriptor, 0, file.size), content.md5)
        finally:
            os.close(descriptor)
    context.report.sent.add(file.size)
    # The ETag of an encrypted object is no digest, but the store has compared the MD5 that went along.
    etags = (content.md5.hex(), info.etag) if info.encrypted else (content.md5.hex(),)
    return Uploaded(file, content.identity, etags, repaired)
