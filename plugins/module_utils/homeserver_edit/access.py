# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may read a file that contains secrets: Synapse's user, and nobody who does not need to."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ..synapse_media.errors import ConfigurationError
from .plan import Plan

GROUP_READS = 0o640
OWNER_ALONE = 0o600
# The groups of processes without a group of their own: what these groups can read, anybody can read.
_NOBODYS_GROUPS = ("nogroup", "nobody")


@dataclass(frozen=True)
class Access:
    """Mode, owner and group of a file."""

    mode: int
    uid: int
    gid: int

    def __str__(self) -> str:
        return f"mode {self.mode:04o}, owner {self.uid}, group {self.gid}"


@dataclass(frozen=True)
class Reader:
    """The user who must be able to read the file, and the groups it runs with.

    `has_private_group`: whether nobody else is in the group `gid`, so that the file may be readable by the group.
    """

    uid: int
    gid: int
    groups: Collection[int]
    has_private_group: bool


def reader_of(user: str, group: str | None) -> Reader:
    """The reader for the names of a user and a group; without a group, the user's primary one.

    Numbers need no names: in a container the user has none, and another group on the host may have its number.
    Raises ConfigurationError if one of them does not exist.
    """
    if user.isdigit() and group is not None and group.isdigit():
        return Reader(int(user), int(group), [int(group)], has_private_group=False)
    try:
        entry = pwd.getpwnam(user)
        gid = grp.getgrnam(group).gr_gid if group else entry.pw_gid
    except KeyError:
        raise ConfigurationError(
            f"The user {user} or the group {group or 'of that user'} does not exist on this host. "
            "Correct synapse_s3_synapse_user or synapse_s3_synapse_group."
        ) from None
    return Reader(entry.pw_uid, gid, os.getgrouplist(user, gid), is_private_group(gid, user))


@dataclass(frozen=True)
class AccessChange:
    """The access to the file with the entry, before and after; `before` is None for a new file."""

    path: str
    before: Access | None
    after: Access

    def __str__(self) -> str:
        return f"{self.path}: {self.before} -> {self.after}"


def planned_access(plan: Plan, reader: Reader, holds_secret: bool) -> AccessChange | None:
    """The access to the file with the entry after the plan; None if no file contains it. `after` may equal `before`."""
    if plan.file is None:
        return None
    is_new = any(change.path == plan.file and change.before is None for change in plan.changes)
    if is_new:
        return AccessChange(plan.file, None, new_access(reader))
    before = access_of(plan.file)
    return AccessChange(plan.file, before, tightened(before, reader) if holds_secret else before)


def home_of(user: str) -> str:
    """The home directory of a user; the root directory for a number without a name."""
    try:
        return (pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)).pw_dir
    except KeyError:
        return "/"


def is_private_group(gid: int, user: str) -> bool:
    """Whether nobody but the user is in the group, as a member or by primary group."""
    try:
        group = grp.getgrgid(gid)
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        return False
    if group.gr_name in _NOBODYS_GROUPS or set(group.gr_mem) - {user}:
        return False
    return all(entry.pw_uid == uid for entry in pwd.getpwall() if entry.pw_gid == gid)


def access_of(path: str) -> Access:
    """The access to a file that exists."""
    status = Path(path).stat()
    return Access(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def new_access(reader: Reader) -> Access:
    """The access to a new file with a secret."""
    if reader.has_private_group:
        return Access(GROUP_READS, os.geteuid(), reader.gid)
    return Access(OWNER_ALONE, reader.uid, reader.gid)


def tightened(access: Access, reader: Reader) -> Access:
    """The access without others and without a group that has other members; the reader can still read the file."""
    opens_to_shared_group = access.gid == reader.gid and not reader.has_private_group and access.mode & stat.S_IRGRP
    if not access.mode & stat.S_IROTH and not opens_to_shared_group:
        return access
    mode = access.mode & ~stat.S_IRWXO
    as_owner = access.uid == reader.uid
    as_group = access.gid == reader.gid or access.gid in reader.groups
    if opens_to_shared_group:
        owner = access.uid if reader.uid == 0 else reader.uid
        return Access(mode & ~stat.S_IRWXG if as_owner or reader.uid == 0 else OWNER_ALONE, owner, access.gid)
    # An owner or a group without read permission gets none: Synapse could not read the file before either.
    if reader.uid == 0 or as_owner:
        # Everybody could read the file, so its group need not have been given permission on purpose.
        keeps_group = access.gid == 0 or as_group
        return Access(mode if keeps_group else mode & ~stat.S_IRWXG, access.uid, access.gid)
    if as_group:
        return Access(mode, access.uid, access.gid)
    if not reader.has_private_group:
        return Access(OWNER_ALONE, reader.uid, access.gid)
    # Synapse's group gets read permission only, not the other permissions of the former group.
    return Access((mode & ~stat.S_IRWXG) | stat.S_IRGRP, access.uid, reader.gid)
