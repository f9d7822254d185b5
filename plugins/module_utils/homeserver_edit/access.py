# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that hold secrets: replaced in one step, with the access they had, or less where others could read them."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..synapse_media.errors import ConfigurationError

GROUP_READS = 0o640
OWNER_ALONE = 0o600
# Groups of everybody who has none: what they may read, anybody may read.
_NOBODYS_GROUPS = ("nogroup", "nobody")


@dataclass(frozen=True)
class Access:
    mode: int
    uid: int
    gid: int

    def __str__(self) -> str:
        return f"mode {self.mode:04o}, owner {self.uid}, group {self.gid}"


@dataclass(frozen=True)
class Reader:
    """The user that must be able to read the file, and the group it runs with.

    `has_private_group`: whether that group is the user's alone, so that a file may be opened to it.
    """

    uid: int
    gid: int
    groups: Collection[int]
    has_private_group: bool


def is_private_group(gid: int, user: str) -> bool:
    """Whether nobody but the user is in the group, by membership or as a primary group."""
    try:
        group = grp.getgrgid(gid)
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        return False
    if group.gr_name in _NOBODYS_GROUPS or set(group.gr_mem) - {user}:
        return False
    return all(entry.pw_uid == uid for entry in pwd.getpwall() if entry.pw_gid == gid)


def access_of(path: str) -> Access:
    status = Path(path).stat()
    return Access(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def new_access(reader: Reader) -> Access:
    if reader.has_private_group:
        return Access(GROUP_READS, os.geteuid(), reader.gid)
    return Access(OWNER_ALONE, reader.uid, reader.gid)


def tightened(access: Access, reader: Reader) -> Access:
    """The access without others and without a group that others share; the reader keeps its own way in."""
    opens_to_shared_group = access.gid == reader.gid and not reader.has_private_group and access.mode & stat.S_IRGRP
    if not access.mode & stat.S_IROTH and not opens_to_shared_group:
        return access
    mode = access.mode & ~stat.S_IRWXO
    as_owner = access.uid == reader.uid
    as_group = access.gid == reader.gid or access.gid in reader.groups
    if opens_to_shared_group:
        owner = access.uid if reader.uid == 0 else reader.uid
        return Access(mode & ~stat.S_IRWXG if as_owner or reader.uid == 0 else OWNER_ALONE, owner, access.gid)
    # An owner or a group that is refused stays so: Synapse could not read it before.
    if reader.uid == 0 or as_owner:
        # Everybody could read the file, so that nothing says that this group was meant to.
        keeps_group = access.gid == 0 or as_group
        return Access(mode if keeps_group else mode & ~stat.S_IRWXG, access.uid, access.gid)
    if as_group:
        return Access(mode, access.uid, access.gid)
    if not reader.has_private_group:
        return Access(OWNER_ALONE, reader.uid, access.gid)
    # What the former group could do must not become what Synapse's group can do.
    return Access((mode & ~stat.S_IRWXG) | stat.S_IRGRP, access.uid, reader.gid)


def set_access(path: str, access: Access) -> None:
    # The mode first: were the group to change first, the new one would have the old one's rights for a moment.
    with _explained(path):
        Path(path).chmod(access.mode)
        os.chown(path, access.uid, access.gid)
        # A change of owner drops bits of the mode.
        Path(path).chmod(access.mode)


def replace(path: str, content: bytes, access: Access, expected: bytes | None) -> None:
    """Writes the file in one step, unless it is no longer what it was when it was read; `expected` None: not there."""
    # A link is followed: what it points to is replaced, not the link.
    target = Path(path).resolve()
    with _explained(path):
        # Synapse reads *.yaml only, so a temporary file left by a crash is never part of its configuration.
        descriptor, name = tempfile.mkstemp(prefix=".synapse-s3-", suffix=".tmp", dir=target.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            if expected is not None:
                # Extended attributes too: the SELinux label and access control lists.
                shutil.copystat(target, temporary)
            # The mode is never wider than it shall be: copystat has brought the old one.
            temporary.chmod(access.mode & 0o700)
            os.chown(temporary, access.uid, access.gid)
            temporary.chmod(access.mode)
            os.utime(temporary)
            _refuse_changed(target, expected)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_directory(target.parent)


def delete(path: str, expected: bytes) -> None:
    with _explained(path):
        _refuse_changed(Path(path), expected)
        Path(path).unlink()
        _sync_directory(Path(path).parent)


def _refuse_changed(path: Path, expected: bytes | None) -> None:
    try:
        found: bytes | None = path.read_bytes()
    except FileNotFoundError:
        found = None
    if found != expected:
        raise ConfigurationError(
            f"{path} was changed by somebody else at the same time, so it was left alone. Run again."
        )


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror}). Run this as root, on a file system that is writable."
        ) from error
