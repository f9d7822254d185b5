# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare an object with a file: by its ETag if that is a digest, else by reading the object."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any, BinaryIO

from .listing import RemoteObject
from .plan import PlannedFile

_MIB = 1024 * 1024
_CHUNK = 1 * _MIB
# boto3's own part size first, then those of other tools that may have uploaded the object.
_PART_MIBS = (8, 5, 6, 7, 10, 12, 15, 16, 20, 24, 25, 32, 40, 48, 50, 64, 96, 100, 128, 200, 256, 512, 1024)
_MULTIPART = re.compile(r"[0-9a-f]{32}-([0-9]+)")


class FileChangedError(Exception):
    """The file is no longer the one that was listed."""


class ReadBackError(Exception):
    """The object could not be read; the cause is chained."""


def equal(path: str, planned: PlannedFile, remote: RemoteObject, read_back: ReadBack) -> bool:
    """Raises FileChangedError or OSError if the file is not reliable, ReadBackError if the object cannot be read."""
    if remote.size != planned.size:
        return False
    with _open_as_planned(path, planned) as file:
        same = _has_digest(file, planned.size, remote.etag) or _same_bytes(file, read_back)
        _check_unchanged(file, planned)
        return same


class ReadBack:
    """The object's bytes, requested only if its ETag is not enough: SSE-C, SSE-KMS, unknown part sizes."""

    def __init__(self, client: Any, bucket: str, key: str, sse: dict[str, str]) -> None:
        self._client = client
        self._request = {"Bucket": bucket, "Key": key, **sse}

    def chunks(self) -> Iterator[bytes]:
        # Some of botocore's errors are OSErrors and would be taken for errors of the file.
        try:
            with closing(self._client.get_object(**self._request)["Body"]) as body:
                yield from body.iter_chunks(_CHUNK)
        except Exception as error:
            raise ReadBackError from error


def _open_as_planned(path: str, planned: PlannedFile) -> BinaryIO:
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    try:
        _check_unchanged(file, planned)
    except BaseException:
        file.close()
        raise
    return file


def _check_unchanged(file: BinaryIO, planned: PlannedFile) -> None:
    status = os.fstat(file.fileno())
    if (status.st_size, status.st_mtime_ns, str(status.st_ino)) != (planned.size, planned.mtime_ns, planned.inode):
        raise FileChangedError("changed while it was compared with the bucket")


def _has_digest(file: BinaryIO, size: int, etag: str) -> bool:
    multipart = _MULTIPART.fullmatch(etag)
    if not multipart:
        return _md5(file, size).hex() == etag
    parts = int(multipart.group(1))
    part_sizes = [mibs * _MIB for mibs in _PART_MIBS if -(-size // (mibs * _MIB)) == parts]
    return any(_composed_etag(file, size, part_size) == etag for part_size in part_sizes)


def _composed_etag(file: BinaryIO, size: int, part_size: int) -> str:
    """Compute it as S3 does: the MD5 of the parts' MD5s, and the number of parts."""
    file.seek(0)
    parts = [_md5_of_next(file, min(part_size, size - start)) for start in range(0, size, part_size)]
    return f"{hashlib.md5(b''.join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"


def _md5(file: BinaryIO, size: int) -> bytes:
    file.seek(0)
    return _md5_of_next(file, size)


def _md5_of_next(file: BinaryIO, size: int) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    while size > 0:
        chunk = file.read(min(_CHUNK, size))
        if not chunk:
            raise FileChangedError("became shorter while it was compared with the bucket")
        digest.update(chunk)
        size -= len(chunk)
    return digest.digest()


def _same_bytes(file: BinaryIO, read_back: ReadBack) -> bool:
    file.seek(0)
    return all(file.read(len(chunk)) == chunk for chunk in read_back.chunks()) and not file.read(1)
