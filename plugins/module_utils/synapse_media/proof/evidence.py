# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an object has a file's content: by its ETag, else by a checksum the store keeps, else by reading it back."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable

from ..disk.checksums import available
from ..disk.content import Content, checksum_of, digest_part
from ..disk.local_file import LocalFile
from ..errors import MediaError
from ..offload.context import Context
from ..s3.client import RequestFailed
from ..s3.digests import composed_etag, digest_parts, is_md5, likely_part_sizes
from .object_index import Found, ask


class Unproven(MediaError):
    """The object can neither be told to be the file's content nor to be another's."""


async def look_closer(context: Context, file: LocalFile, found: Found) -> Found:
    """What a HEAD says of an object that a listing named. Raises Unproven where it may not count as a copy.

    Raises StoreError where the store refuses the whole run.
    """
    refuse_archived(found)
    if found.info is None:
        answer = await ask(context.s3, context.key(file))
        if isinstance(answer, RequestFailed):
            raise Unproven(str(answer)) from answer
        if answer is None:
            raise Unproven("The object was there when this run began and is gone now. Run this again.")
        found = answer
    refuse_archived(found)
    return found


def refuse_archived(found: Found) -> None:
    """Raises Unproven where the object has to be restored before Synapse, or anybody, could read it."""
    if found.archived:
        raise Unproven(
            f"Its object is archived ({found.archived}), where Synapse cannot read it, so the file stays. Restore the "
            "object and copy it to another storage class, and see which lifecycle rule of the bucket moved it there."
        )


async def is_proven(context: Context, file: LocalFile, content: Content, found: Found) -> bool:
    """True: the object is the file's content. False: it is not.

    Raises Unproven or ContentProblem where neither can be said, StoreError where the store refuses the whole run.
    """
    refuse_archived(found)
    if found.size != content.identity.size:
        return False
    if found.etag == content.md5.hex():
        return True
    lengths = likely_part_sizes(found.etag, found.size)
    if lengths:
        composes: bool = await context.in_thread(_composes, context, file, found.etag, lengths)
        if composes:
            return True
    if found.info is None:
        return await is_proven(context, file, content, await look_closer(context, file, found))
    for name in available():
        if name in found.info.checksums:
            return found.info.checksums[name] == await _checksum(context, file, content, name)
    # An ETag that has the form of an MD5 and is none, of an object that is not encrypted, speaks of another content.
    if context.settings.verify == "size" and (found.info.encrypted or not is_md5(found.etag)):
        return True
    return await _reads_back(context, file, content)


def _composes(context: Context, file: LocalFile, etag: str, lengths: list[int]) -> bool:
    descriptor = context.open_now(file)
    try:
        return any(
            composed_etag(digest_parts(digest_part, descriptor, file.size, length, context.is_stopping)) == etag
            for length in lengths
        )
    finally:
        os.close(descriptor)


async def _checksum(context: Context, file: LocalFile, content: Content, name: str) -> str:
    if name == "sha256" and content.sha256 is not None:
        return base64.b64encode(content.sha256).decode()
    checksum: str = await context.in_thread(_checksum_of_file, context, file, name)
    return checksum


def _checksum_of_file(context: Context, file: LocalFile, name: str) -> str:
    descriptor = context.open_now(file)
    try:
        checksum = checksum_of(descriptor, 0, file.size, name, context.is_stopping)
        context.check_unchanged(file, descriptor)
        return checksum
    finally:
        os.close(descriptor)


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
