# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether what was received is the object that the store keeps, and the media that Synapse took.

A row's length and SHA-256 decide where there are any. Then the ETag, as an MD5 or composed of parts, then a checksum
that the store keeps beside the object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from ..database.rows import Row
from ..disk.checksums import Checksum, available
from ..disk.content import checksum_of, digest_part, digest_sha256
from ..errors import MediaError
from ..s3.objects import ObjectInfo, composed_etag, digest_parts, is_md5, likely_part_sizes


class Contradiction(MediaError):
    """The object is not the media that its row speaks of."""


class Damaged(MediaError):
    """What was received is not what the store keeps: it may be right the next time."""


def refuse_length(size: int, row: Row | None) -> None:
    """Raises Contradiction if an original's object (bytes) has not the length of its row. None for a thumbnail."""
    if row is not None and row.length is not None and row.length != size:
        raise Contradiction(
            f"The object has {size} bytes, and its row in Synapse's database says {row.length}: it is not the media "
            "that Synapse took, and is not put on the disk. Look for another version of the object, or for a backup."
        )


def prove_data(data: bytes, size: int, info: ObjectInfo, row: Row | None) -> bool:
    """As prove_file(), of content in memory that should have so many bytes."""
    if len(data) != size:
        raise Damaged(
            f"The store sent {len(data)} bytes of an object of {size}. It was replaced meanwhile, or is damaged in the "
            "store. Run this again."
        )
    refuse_length(len(data), row)
    if row is not None and row.sha256 is not None:
        _compare_sha256(hashlib.sha256(data).digest(), row.sha256)
        return True
    if is_md5(info.etag):
        if hashlib.md5(data, usedforsecurity=False).hexdigest() == info.etag:
            return True
    elif _composes(lambda offset, length: _md5(data[offset : offset + length]), len(data), info.etag):
        return True

    def compute(name: str) -> str:
        checksum = Checksum(name)
        checksum.update(data)
        return checksum.base64()

    return _prove_by_checksum(info, compute)


def prove_file(descriptor: int, size: int, info: ObjectInfo, row: Row | None, stop: Callable[[], bool]) -> bool:
    """Whether something proves the content of an open file, which has so many bytes; False if nothing can.

    `row` is that of an original; None for a thumbnail, or if there is none. Raises Contradiction, Damaged, or as
    content.digest_part().
    """
    refuse_length(size, row)
    if row is not None and row.sha256 is not None:
        _compare_sha256(digest_sha256(descriptor, size, stop), row.sha256)
        return True
    if is_md5(info.etag):
        if digest_part(descriptor, 0, size).hex() == info.etag:
            return True
    elif _composes(lambda offset, length: digest_part(descriptor, offset, length), size, info.etag):
        return True
    return _prove_by_checksum(info, lambda name: checksum_of(descriptor, 0, size, name, stop))


def _prove_by_checksum(info: ObjectInfo, compute: Callable[[str], str]) -> bool:
    for name in available():
        if name in info.checksums:
            if compute(name) != info.checksums[name]:
                raise Damaged(f"What was received has not the {name} that the store keeps of the object. {_AGAIN}")
            return True
    # Of an object that is not encrypted this is the MD5.
    if is_md5(info.etag) and not info.encrypted:
        raise Damaged(f"What was received has not the MD5 that the store gives for the object as its ETag. {_AGAIN}")
    return False


_AGAIN = "It was damaged on its way or in the store, and is not put on the disk. Run this again."


def _compare_sha256(sha256: bytes, expected: bytes) -> None:
    if sha256 != expected:
        raise Contradiction(
            f"The SHA-256 of the object is {sha256.hex()}, and its row in Synapse's database says {expected.hex()}: it "
            "is not the media that Synapse took, and is not put on the disk. Look for another version of the object, "
            "or for a backup."
        )


def _composes(digest: Callable[[int, int], bytes], size: int, etag: str) -> bool:
    for length in likely_part_sizes(etag, size):
        parts = digest_parts(lambda dummy, offset, count: digest(offset, count), -1, size, length, lambda: False)
        if composed_etag(parts) == etag:
            return True
    return False


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
