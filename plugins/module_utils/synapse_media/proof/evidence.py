# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an object has a file's content: by its ETag, else by a checksum the store keeps, else by reading it back."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from typing import NamedTuple

from ..disk.checksums import available
from ..disk.content import Content, checksum_of, digest_part
from ..disk.local_file import Identity, LocalFile
from ..disk.media_files import MediaFiles
from ..errors import MediaError, RequestFailed
from ..s3.bucket import Bucket
from ..s3.objects import composed_etag, digest_parts, is_md5, likely_part_sizes
from .object_index import Found, LookupResult, ask


class Unproven(MediaError):
    """The object can neither be told to be the file's content nor to be another's."""


class Proven(NamedTuple):
    """A file whose content is in the bucket, as `found` says; `uploaded` by this run, which is counted already."""

    file: LocalFile
    identity: Identity
    uploaded: bool = False
    found: Found | None = None


class Evidence:
    """Compares objects of a bucket with files. If `size_suffices`, an object without any digest is not read back."""

    def __init__(self, files: MediaFiles, bucket: Bucket, *, size_suffices: bool = False) -> None:
        self._files = files
        self._bucket = bucket
        self._size_suffices = size_suffices

    async def look_closer(self, file: LocalFile, found: Found) -> Found:
        """What a HEAD says of an object that a listing named. Raises Unproven if it may not count as a copy.

        Raises StoreError if the store refuses the whole run.
        """
        refuse_archived(found)
        if found.info is None:
            response = await ask(self._bucket, self._bucket.key(file.path))
            if isinstance(response, RequestFailed):
                raise Unproven(str(response)) from response
            if response is None:
                raise Unproven("The object was there when this run began and is gone now. Run this again.")
            found = response
        refuse_archived(found)
        return found

    async def is_copy(self, file: LocalFile, content: Content, found: Found) -> bool:
        """True: the object is the file's content. False: it is not.

        Raises Unproven or ContentProblem if neither can be said, StoreError where the store refuses the whole run.
        """
        refuse_archived(found)
        if found.size != content.identity.size:
            return False
        if found.etag == content.md5.hex():
            return True
        lengths = likely_part_sizes(found.etag, found.size)
        if lengths:
            composes: bool = await self._files.in_thread(self._composes, file, found.etag, lengths)
            if composes:
                return True
        if found.info is None:
            return await self.is_copy(file, content, await self.look_closer(file, found))
        for name in available():
            if name in found.info.checksums:
                return found.info.checksums[name] == await self._checksum(file, content, name)
        # An object that is not encrypted, and whose ETag looks like the MD5 of another content, has that content.
        if self._size_suffices and (found.info.encrypted or not is_md5(found.etag)):
            return True
        return await self._reads_back(file, content)

    def _composes(self, file: LocalFile, etag: str, lengths: list[int]) -> bool:
        descriptor = self._files.open_now(file)
        try:
            return any(
                composed_etag(digest_parts(digest_part, descriptor, file.size, length, self._files.is_stopping)) == etag
                for length in lengths
            )
        finally:
            os.close(descriptor)

    async def _checksum(self, file: LocalFile, content: Content, name: str) -> str:
        if name == "sha256" and content.sha256 is not None:
            return base64.b64encode(content.sha256).decode()
        checksum: str = await self._files.in_thread(self._checksum_of_file, file, name)
        return checksum

    def _checksum_of_file(self, file: LocalFile, name: str) -> str:
        descriptor = self._files.open_now(file)
        try:
            checksum = checksum_of(descriptor, 0, file.size, name, self._files.is_stopping)
            self._files.check_unchanged(file, descriptor)
            return checksum
        finally:
            os.close(descriptor)

    async def _reads_back(self, file: LocalFile, content: Content) -> bool:
        digest = hashlib.md5(usedforsecurity=False)

        def make_sink() -> Callable[[memoryview], None]:
            nonlocal digest
            digest = hashlib.md5(usedforsecurity=False)
            return digest.update

        try:
            received = await self._bucket.get(self._bucket.key(file.path), make_sink)
        except RequestFailed as error:
            raise Unproven(f"The object could not be read back to compare it: {error}") from error
        return received == content.identity.size and digest.digest() == content.md5

    async def ask_again(self, proven: Proven) -> Proven:
        """With the store's response of now. Raises MediaError if the object is not what was proven any more."""
        found = await ask(self._bucket, self._bucket.key(proven.file.path))
        _check_same(proven.found, found)
        return proven._replace(found=found if isinstance(found, Found) else None)


def refuse_archived(found: Found) -> None:
    """Raises Unproven if the object has to be restored before Synapse, or anybody, could read it."""
    if found.archived:
        raise Unproven(
            f"Its object is archived ({found.archived}), where Synapse cannot read it, so the file stays. Restore the "
            "object and copy it to another storage class, and see which lifecycle rule of the bucket moved it there."
        )


def _check_same(before: Found | None, now: LookupResult) -> None:
    """Raises MediaError unless the object is still the one that was proven, and readable."""
    if isinstance(now, RequestFailed):
        raise now
    if now is None or before is None or (now.size, now.etag) != (before.size, before.etag):
        raise Unproven("Its object has changed since it was proven, or is gone. Run this again.")
    refuse_archived(now)
