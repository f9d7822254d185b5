# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One file into the bucket in one request, with a digest that the store checks."""

from __future__ import annotations

import os
from typing import NamedTuple

from ..disk.content import Content
from ..disk.local_file import Identity, LocalFile
from ..offload.context import Context
from .bucket import Digest, ObjectInfo
from .client import FilePart


class Uploaded(NamedTuple):
    """What the store said it took. An object of the file's size with one of the ETags is this upload."""

    file: LocalFile
    identity: Identity
    etags: tuple[str, ...]
    repaired: bool


async def upload_whole(
    context: Context,
    file: LocalFile,
    content: Content,
    *,
    may_replace: bool,
    repaired: bool = False,
) -> Uploaded | None:
    """None where there is an object already, which stays: only where it is `repaired` is it replaced.

    `may_replace`: as in NewObjects.put(). Raises RequestFailed, ContentProblem, or StoreError where the store refuses
    the whole run.
    """
    await context.checks.encryption()
    if content.data is not None:
        body: bytes | FilePart = content.data
    else:
        body = FilePart(await context.open(file), 0, file.size)
    digest = Digest(content.md5) if content.md5 else Digest(name=context.checks.checksum, checksum=content.checksum)
    info: ObjectInfo | None
    try:
        # Should the file change now, its digest no longer fits and the store refuses the request.
        with context.awaiting_answer():
            if repaired:
                info = await context.s3.put(context.key(file), body, digest)
            else:
                info = await context.new_objects.put(context.key(file), body, digest, may_replace=may_replace)
    finally:
        if isinstance(body, FilePart):
            os.close(body.descriptor)
    if info is None:
        return None
    context.report.sent.add(file.size)
    # The ETag of an encrypted object is no digest, but the store has compared the one that went along.
    etags: tuple[str, ...] = (content.md5.hex(), info.etag) if info.encrypted else (content.md5.hex(),)
    if digest.name:
        # A store that does not name the checksum has not kept it; then the object is compared in other ways.
        etags = (info.etag,) if digest.name in info.checksums else ()
    return Uploaded(file, content.identity, etags, repaired)
