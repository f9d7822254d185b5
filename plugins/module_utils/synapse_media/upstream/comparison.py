# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare an object with a file by its ETag if that is a digest, else by reading the object.

If they differ, say which of them Synapse's database proves wrong, or that nothing proves it.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..database.lookups import RowFacts, open_database
from ..disk.layout import LOCAL, LOCAL_CONTENT, REMOTE, REMOTE_CONTENT, Media
from ..errors import MediaError
from ..settings.homeserver import DatabaseSettings
from .objects import ReadBack, RemoteObject
from .plan import PlannedFile

_MIB = 1024 * 1024
_CHUNK = _MIB
# boto3's own part size first, then those of other tools that may have uploaded the object.
_PART_MIBS = (8, 5, 6, 7, 10, 12, 15, 16, 20, 24, 25, 32, 40, 48, 50, 64, 96, 100, 128, 200, 256, 512, 1024)
_MULTIPART = re.compile(r"[0-9a-f]{32}-([0-9]+)")

_CONFLICT = "The file and its object differ and nothing proves which of them is right: "
_REMEDY = "Compare both with a backup; the one that is damaged is to be removed."


class FileChangedError(Exception):
    """The file is no longer the one that was listed."""


def equal(path: str, planned: PlannedFile, remote: RemoteObject, read_back: ReadBack) -> bool:
    """Raises FileChangedError or OSError if the file is not reliable, ReadBackError if the object cannot be read."""
    if remote.size != planned.size:
        return False
    with _open_as_planned(path, planned) as file:
        same = _has_digest(file, planned.size, remote.etag) or _same_bytes(file, read_back)
        _check_unchanged(file, planned)
        return same


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


class Sizes(NamedTuple):
    """Sizes in bytes."""

    file: int
    object: int

    def __str__(self) -> str:
        if self.file == self.object:
            return f"both have {self.file} bytes"
        return f"the file has {self.file} bytes and its object {self.object}"


def explain_difference(root: str, path: str, sizes: Sizes, database: DatabaseSettings | None) -> str:
    """Return the cause and the remedy for the operator. Nothing is replaced or deleted because of it.

    `path` is relative to the media store `root`. The database is queried if it is known.
    """
    media = _original(path)
    if media is None:
        return f"{_CONFLICT}{sizes}, and Synapse's database has no SHA-256 of thumbnails. {_REMEDY}"
    if database is None:
        return f"{_CONFLICT}{sizes}, and Synapse's database is not known to this run. {_REMEDY}"
    try:
        with open_database(database) as rows:
            row = rows.facts(media)
    except MediaError:
        return f"{_CONFLICT}{sizes}, and Synapse's database cannot be asked. {_REMEDY}"
    if row.sha256:
        return _by_digest(Path(root) / path, sizes, row.sha256)
    return _by_length(sizes, row)


def _by_digest(file: Path, sizes: Sizes, sha256: str) -> str:
    try:
        digest = _sha256(file)
    except OSError as error:
        return f"{_CONFLICT}{sizes}, and the file cannot be read ({error.strerror}). {_REMEDY}"
    if digest == sha256:
        return (
            f"The file's SHA-256 is that of Synapse's database, so its object is damaged ({sizes}). "
            "Remove the object and run this again."
        )
    return (
        f"The file's SHA-256 is not that of Synapse's database, so the file is damaged ({sizes}). "
        "Restore it from its object if that is whole, else from a backup."
    )


def _by_length(sizes: Sizes, row: RowFacts) -> str:
    if row.length is None:
        return f"{_CONFLICT}{sizes}, and Synapse's database has no length and no digest. {_REMEDY}"
    if sizes.file == sizes.object == row.length:
        return f"{_CONFLICT}{sizes}, as Synapse's database says, which has no SHA-256. {_REMEDY}"
    if sizes.file == row.length:
        return (
            f"The object has {sizes.object} bytes, the file {sizes.file} as Synapse's database says. "
            "Remove the object and run this again."
        )
    if sizes.object == row.length:
        return (
            f"The file has {sizes.file} bytes, its object {sizes.object} as Synapse's database says. "
            "Restore the file from its object."
        )
    return f"{_CONFLICT}{sizes}, and Synapse's database says {row.length}. {_REMEDY}"


def _original(path: str) -> Media | None:
    """Return the media whose original this is, or None for a thumbnail."""
    first, *rest = path.split("/")
    if first == LOCAL_CONTENT:
        return Media(LOCAL, "", "".join(rest))
    if first == REMOTE_CONTENT:
        return Media(REMOTE, rest[0], "".join(rest[1:]))
    return None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
