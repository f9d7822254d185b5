# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an object has a file's content: by its ETag, else by a checksum the store keeps, else by reading it back."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable

from ..errors import MediaError
from .content import CHANGED, Content, ContentProblem, digest_part, open_file, read_batch
from .context import Context
from .digests import composed_etag, digest_parts, is_md5, likely_part_sizes
from .local_file import LocalFile
from .presence import Found, ask
from .transport.client import RequestFailed


class Unproven(MediaError):
    """The object can neither be told to be the file's content nor to be another's."""


async def is_proven(context: Context, file: LocalFile, content: Content, found: Found) -> bool:
    """True: the object is the file's content. False: it is not.

    Raises Unproven or ContentProblem where neither can be said, StoreError where the store refuses the whole run.
    """
    if found.size != content.identity.size:
        return False
    if found.etag == content.md5.hex():
        return True
    lengths = likely_part_sizes(found.etag, found.size)
    if lengths:
        composes: bool = await context.loop.in_thread(_composes, context, file, found.etag, lengths)
        if composes:
            return True
    if found.info is None:
        answer = await ask(context.s3, context.key(file))
        if isinstance(answer, RequestFailed):
            raise Unproven(str(answer)) from answer
        if answer is None:
            raise Unproven("The object was there when this run began and is gone now. Run this again.")
        return await is_proven(context, file, content, answer)
    if "sha256" in found.info.checksums:
        return found.info.checksums["sha256"] == base64.b64encode(await _sha256(context, file, content)).decode()
    # An ETag that has the form of an MD5 and is none, of an object that is not encrypted, speaks of another content.
    if context.settings.verify == "size" and (found.info.encrypted or not is_md5(found.etag)):
        return True
    return await _reads_back(context, file, content)


def _composes(context: Context, file: LocalFile, etag: str, lengths: list[int]) -> bool:
    descriptor = open_file(context.root, file)
    try:
        return any(
            composed_etag(digest_parts(digest_part, descriptor, file.size, length, context.is_stopping)) == etag
            for length in lengths
        )
    finally:
        os.close(descriptor)


async def _sha256(context: Context, file: LocalFile, content: Content) -> bytes:
    if content.sha256 is not None:
        return content.sha256
    (again,) = await context.loop.in_thread(read_batch, context.root, [(file, True, False)], context.is_stopping)
    if isinstance(again, ContentProblem):
        raise again
    if again.sha256 is None or again.md5 != content.md5:
        raise ContentProblem("The file changed while it was compared. The next run looks at it again.", CHANGED)
    return again.sha256


async def _reads_back(context: Context, file: LocalFile, content: Content) -> bool:
    digest = hashlib.md5(usedforsecurity=False)

    def make_sink() -> Callable[[memoryview], None]:
        nonlocal digest
        digest = hashlib.md5(usedforsecurity=False)
        return digest.update

    try:
        received = await context.s3.get(context.key(file), make_sink)
    except RequestFailed as error:
        raise Unproven(f"The object could not be read back to compare it: {error}") from error
    return received == content.identity.size and digest.digest() == content.md5
