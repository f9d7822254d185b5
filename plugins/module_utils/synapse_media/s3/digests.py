# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ETags as stores make them of a content: its MD5, or for a multipart upload the MD5 of the parts' MD5s."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence

MIB = 1024 * 1024
_MD5 = re.compile(r"[0-9a-f]{32}")
_COMPOSED = re.compile(r"[0-9a-f]{32}-([1-9][0-9]{0,4})")
# Part sizes that the tools an operator may have uploaded with use by default: 5 (rclone, mc's floor), 8 (aws, boto3 and
# so upstream's script), 15 (s3cmd), 16 (mc), 50 (s5cmd), 100 (b2) and the powers of two that people choose.
_USUAL_PARTS = (5, 8, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128, 200, 256, 500, 512, 1024)


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
