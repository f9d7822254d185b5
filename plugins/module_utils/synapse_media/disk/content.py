# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of a file: opened without following a link, read and digested while it is still the file that was listed.

Everything here blocks and belongs in a worker thread.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ..errors import MediaError
from .checksums import Checksum
from .directories import OpenDirectories
from .local_file import Identity, LocalFile
from .own_unlinks import OwnUnlinks
from .pace import FileSystemPace

__all__ = [
    "CHANGED",
    "SMALL",
    "STOPPED",
    "UNREADABLE",
    "VANISHED",
    "Content",
    "ContentProblem",
    "Identity",
    "checksum_of",
    "digest_in_order",
    "digest_part",
    "digest_sha256",
    "open_file",
    "read_batch",
]

CHANGED = "changed"
VANISHED = "vanished"
UNREADABLE = "unreadable"
# The run is ending, so the digest is no longer needed.
STOPPED = "stopped"

_MIB = 1024 * 1024
# In bytes: a file up to this size is read at once.
SMALL = 1 * _MIB
_STEP = 1 * _MIB

# Not blocking: a FIFO may have replaced the file, and opening that would wait for a writer.
_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# The access time stays: reading by the engine is no use of the media.
_READING_NO_ATIME = _READING | getattr(os, "O_NOATIME", 0)


class Content(NamedTuple):
    """A file's raw digests, and its bytes if they were to be kept. Without an MD5 there is a checksum (base64)."""

    identity: Identity
    md5: bytes
    sha256: bytes | None
    data: bytes | None
    checksum: str = ""


class ContentProblem(MediaError):
    """A file cannot be used; `reason` is CHANGED, VANISHED, UNREADABLE or STOPPED."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def _never() -> bool:
    return False


def read_batch(
    root: str,
    wanted: Sequence[tuple[LocalFile, bool, bool]],
    stop: Callable[[], bool] = _never,
    unlinks: OwnUnlinks | None = None,
    pace: FileSystemPace | None = None,
    checksum: str = "",
) -> list[Content | ContentProblem]:
    """Return MD5, SHA-256 and bytes of files; cheapest if files of one directory come together. Never raises OSError.

    Each file comes with two flags: whether to compute a SHA-256, and whether to keep the bytes if they are at most
    SMALL. `unlinks` has the changes of hard-linked files that this run made itself. `pace` is given how long each open
    takes. Files larger than SMALL get the `checksum` of that name instead of an MD5, if one is given.
    """
    with OpenDirectories(root) as directories:
        files = _Files(directories, unlinks or OwnUnlinks(), pace)
        return [_read(files, file, want_sha256, keep, stop, checksum) for file, want_sha256, keep in wanted]


def open_file(root: str, file: LocalFile, unlinks: OwnUnlinks | None = None) -> int:
    """Return a descriptor, which the caller closes. Raises ContentProblem unless it is the file that was listed."""
    with OpenDirectories(root) as directories:
        return _Files(directories, unlinks or OwnUnlinks(), None).open(file, file.identity)


def digest_part(descriptor: int, offset: int, length: int) -> bytes:
    """Return the raw MD5 of a part. Raises ContentProblem if the file ends before it, OSError if it cannot be read."""
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in _chunks(descriptor, offset, length, _never):
        digest.update(chunk)
    return digest.digest()


def digest_sha256(descriptor: int, length: int, stop: Callable[[], bool]) -> bytes:
    """Return the raw SHA-256 of the first bytes; `stop` is called before each MiB. Raises as digest_part()."""
    digest = hashlib.sha256()
    for chunk in _chunks(descriptor, 0, length, stop):
        digest.update(chunk)
    return digest.digest()


def checksum_of(descriptor: int, offset: int, length: int, name: str, stop: Callable[[], bool] = _never) -> str:
    """Return a checksum of a part in base64; `name` is one of checksums.available(). Raises as digest_sha256()."""
    checksum = Checksum(name)
    for chunk in _chunks(descriptor, offset, length, stop):
        checksum.update(chunk)
    return checksum.base64()


def digest_in_order(descriptor: int, offset: int, length: int, sha256: Any, name: str, stop: Callable[[], bool]) -> str:
    """Return the checksum of a part in base64, and update the SHA-256 of the whole file with the same bytes."""
    checksum = Checksum(name)
    for chunk in _chunks(descriptor, offset, length, stop):
        sha256.update(chunk)
        checksum.update(chunk)
    return checksum.base64()


class _Files:
    """Opens files below one set of open directories."""

    def __init__(self, directories: OpenDirectories, unlinks: OwnUnlinks, pace: FileSystemPace | None) -> None:
        self._directories = directories
        self._unlinks = unlinks
        self._pace = pace

    def open(self, file: LocalFile, identity: Identity) -> int:
        """Raises ContentProblem unless it is the file that was listed, with this identity."""
        try:
            directory, name = self._directories.place_of(file.path)
            began = time.perf_counter()
            try:
                descriptor = os.open(name, _READING_NO_ATIME, dir_fd=directory)
            except PermissionError:
                # Only a file's owner may open it without a change of its access time.
                descriptor = os.open(name, _READING, dir_fd=directory)
        except OSError as error:
            raise _problem(file, error) from error
        if self._pace is not None:
            self._pace.note(time.perf_counter() - began)
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and self.is_same(identity, status):
            return descriptor
        os.close(descriptor)
        raise _changed(file)

    def is_same(self, identity: Identity, status: os.stat_result) -> bool:
        return self._unlinks.is_same_file(identity, status)


def _read(
    files: _Files, file: LocalFile, want_sha256: bool, keep: bool, stop: Callable[[], bool], checksum: str
) -> Content | ContentProblem:
    try:
        identity = file.identity
        descriptor = files.open(file, identity)
        try:
            content = _digested(descriptor, file, identity, want_sha256, keep, stop, checksum)
            # A write meanwhile has changed the time or the size.
            return content if files.is_same(identity, os.fstat(descriptor)) else _changed(file)
        finally:
            os.close(descriptor)
    except ContentProblem as problem:
        return problem
    except OSError as error:
        return _problem(file, error)


def _digested(
    descriptor: int,
    file: LocalFile,
    identity: Identity,
    want_sha256: bool,
    keep: bool,
    stop: Callable[[], bool],
    checksum: str,
) -> Content:
    if file.size <= SMALL:
        data = _whole(descriptor, file)
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        sha256 = hashlib.sha256(data).digest() if want_sha256 else None
        return Content(identity, md5, sha256, data if keep else None)
    checked = Checksum(checksum) if checksum else hashlib.md5(usedforsecurity=False)
    sha256_so_far = hashlib.sha256() if want_sha256 else None
    for chunk in _chunks(descriptor, 0, file.size, stop):
        checked.update(chunk)
        if sha256_so_far:
            sha256_so_far.update(chunk)
    digest = sha256_so_far.digest() if sha256_so_far else None
    if isinstance(checked, Checksum):
        return Content(identity, b"", digest, None, checked.base64())
    return Content(identity, checked.digest(), digest, None)


def _whole(descriptor: int, file: LocalFile) -> bytes:
    # One byte more than expected, so that a file that grew is noticed.
    data = os.read(descriptor, file.size + 1)
    while len(data) < file.size:
        more = os.read(descriptor, file.size + 1 - len(data))
        if not more:
            break
        data += more
    if len(data) != file.size:
        raise _changed(file)
    return data


def _chunks(descriptor: int, offset: int, length: int, stop: Callable[[], bool]) -> Iterator[memoryview]:
    """Each chunk is valid until the next one is requested."""
    buffer = memoryview(bytearray(min(_STEP, length)))
    while length > 0:
        if stop():
            raise ContentProblem("Reading was stopped, as the run is ending. Run this again.", STOPPED)
        received = os.preadv(descriptor, [buffer[: min(_STEP, length)]], offset)
        if not received:
            raise ContentProblem(
                "The file became shorter while it was read. It is left alone; the next run tries it again.", CHANGED
            )
        yield buffer[:received]
        offset += received
        length -= received


def _changed(file: LocalFile) -> ContentProblem:
    return ContentProblem(
        f"{file.path} changed while it was read. It is left alone; the next run tries it again.", CHANGED
    )


def _problem(file: LocalFile, error: OSError) -> ContentProblem:
    if isinstance(error, FileNotFoundError):
        return ContentProblem(f"{file.path} is gone since it was listed: another program removed it.", VANISHED)
    # A link or a socket has replaced the file, or a file its directory.
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO) or isinstance(error, NotADirectoryError):
        return _changed(file)
    return ContentProblem(
        f"{file.path} cannot be read ({error.strerror or error}). "
        "Give it to the user this runs as, or check the disk it is on.",
        UNREADABLE,
    )
