# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What S3 says of objects, and the digests and ETags by which contents are compared.

The ETag of an object is the MD5 of its content, or for a multipart upload the MD5 of the parts' MD5s.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ..settings.store import StoreSettings
from .transport.response import Response

MIB = 1024 * 1024
_MD5 = re.compile(r"[0-9a-f]{32}")
_COMPOSED = re.compile(r"[0-9a-f]{32}-([1-9][0-9]{0,4})")
# Part sizes that the tools an operator may have uploaded with use by default: 5 (rclone, mc's floor), 8 (aws, boto3 and
# so upstream's script), 15 (s3cmd), 16 (mc), 50 (s5cmd), 100 (b2) and the powers of two that people choose.
_USUAL_PARTS = (5, 8, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128, 200, 256, 500, 512, 1024)
_CHECKSUMS = tuple((name, f"x-amz-checksum-{name}") for name in ("crc32", "crc32c", "crc64nvme", "sha1", "sha256"))
ALGORITHM_HEADER = "x-amz-server-side-encryption-customer-algorithm"
# Objects of these classes have to be restored before anybody can read them.
_ARCHIVE_CLASSES = ("GLACIER", "DEEP_ARCHIVE")
# Its objects may be in an archive tier, which only a HEAD tells.
TIERING_CLASS = "INTELLIGENT_TIERING"


class ObjectInfo(NamedTuple):
    """``encrypted``: with a key that makes the ETag no MD5. ``checksums``: base64 by name, of the whole object only.

    ``archived`` names the class or tier that an object has to be restored from before it can be read; else it is empty.
    ``modified`` and ``date`` are the times of the object and of the response by the store's clock, in its own words.
    """

    size: int
    etag: str
    encrypted: bool
    checksums: dict[str, str]
    archived: str = ""
    modified: str = ""
    date: str = ""


class MultipartUpload(NamedTuple):
    """``encrypted``: its object's ETag will be no digest. ``checksum`` names the one the store keeps, or is empty.

    ``uses_key``: the store said that it encrypts with the customer key; some say so of the parts only.
    """

    upload_id: str
    encrypted: bool
    checksum: str
    uses_key: bool = False


class Digest(NamedTuple):
    """What the store checks a body by: its MD5 (16 bytes), or, where that is empty, a checksum in base64, by name."""

    md5: bytes = b""
    name: str = ""
    checksum: str = ""

    @property
    def header(self) -> tuple[str, str]:
        return ("content-md5", _base64(self.md5)) if self.md5 else (f"x-amz-checksum-{self.name}", self.checksum)


def is_archive_class(storage_class: str) -> bool:
    """Whether objects of this class cannot be read before somebody has them restored."""
    return storage_class in _ARCHIVE_CLASSES


def customer_key_headers(settings: StoreSettings) -> tuple[tuple[str, str], ...]:
    if not settings.sse_customer_key:
        return ()
    key = settings.sse_customer_key.encode()
    return (
        (ALGORITHM_HEADER, settings.sse_customer_algo),
        ("x-amz-server-side-encryption-customer-key", _base64(key)),
        ("x-amz-server-side-encryption-customer-key-md5", _base64(hashlib.md5(key, usedforsecurity=False).digest())),
    )


def object_info(response: Response, size: int) -> ObjectInfo:
    headers = response.headers
    checksums: dict[str, str] = {}
    kind = headers.get("x-amz-checksum-type")
    if kind in (None, "FULL_OBJECT"):
        for name, header in _CHECKSUMS:
            value = headers.get(header)
            # A digest of the parts' digests ends in their number. A CRC counts only of a store that knows the kinds of
            # checksums: others hand back whatever was sent along.
            if value is not None and "-" not in value and (kind is not None or name == "sha256"):
                checksums[name] = value
    storage_class = headers.get("x-amz-storage-class", "")
    archived = headers.get("x-amz-archive-status", "") or (storage_class if is_archive_class(storage_class) else "")
    return ObjectInfo(
        size,
        etag_of(response),
        is_encrypted(response),
        checksums,
        archived,
        headers.get("last-modified", ""),
        headers.get("date", ""),
    )


def is_encrypted(response: Response) -> bool:
    headers = response.headers
    return ALGORITHM_HEADER in headers or headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")


def etag_of(response: Response) -> str:
    return response.headers.get("etag", "").removeprefix("W/").strip('" ')


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def is_md5(etag: str) -> bool:
    """Whether an ETag has the form of a digest of the whole content. Encrypted objects have such ETags too."""
    return bool(_MD5.fullmatch(etag))


def composed_etag(parts: Sequence[bytes]) -> str:
    """The ETag of a multipart upload, of the parts' MD5s in order."""
    whole = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
    return f"{whole}-{len(parts)}"


def likely_part_sizes(etag: str, size: int) -> list[int]:
    """Part sizes in bytes that give `size` bytes as many parts as the ETag names; none where it names no parts."""
    match = _COMPOSED.fullmatch(etag)
    if not match:
        return []
    count = int(match.group(1))
    likely = [mib * MIB for mib in _USUAL_PARTS] + [mib * 1000 * 1000 for mib in _USUAL_PARTS]
    if count == 1:
        return [max(size, 1)]
    return [length for length in likely if -(-size // length) == count]


def digest_parts(
    digest_part: Callable[[int, int, int], bytes], descriptor: int, size: int, length: int, stop: Callable[[], bool]
) -> list[bytes]:
    """The MD5 of each part of an open file. Ends early, with fewer, when asked to stop."""
    return [digest_part(descriptor, offset, count) for offset, count in parts_of(size, length) if not stop()]


def parts_of(size: int, length: int) -> Iterator[tuple[int, int]]:
    """Offset and length in bytes of each part."""
    for offset in range(0, size, length):
        yield offset, min(length, size - offset)
