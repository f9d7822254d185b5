# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which user does the work: not root, whose files in the state directory break the next run as Synapse's user."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from ..errors import ConfigurationError


def worker(user: str | None, media_path: str, *, root_may_own: bool = False) -> pwd.struct_passwd | None:
    """The user to become before anything is written, or None if this process is that user already.

    With `root_may_own` that may be root, where the media store belongs to root. Raises ConfigurationError.
    """
    if os.geteuid() != 0:
        _refuse_other(user)
        return None
    chosen = _named(user, media_path) if user else _owner(media_path)
    if chosen.pw_uid == 0 and root_may_own and _owner(media_path).pw_uid == 0:
        return None
    if chosen.pw_uid == 0:
        source = f"user is {user}" if user else f"{media_path} belongs to root"
        raise ConfigurationError(
            f"Migrating as root is refused: {source}. Name the user Synapse runs as (synapse_s3_synapse_user), "
            "and give the media store to that user."
        )
    return chosen


def become(account: pwd.struct_passwd) -> None:
    """Becomes the user for good: the process cannot become root again."""
    os.initgroups(account.pw_name, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    # Whoever reads ~/.pgpass or ~/.aws must look into the new home, not into root's.
    os.environ.update(HOME=account.pw_dir, USER=account.pw_name, LOGNAME=account.pw_name)
    os.chdir("/")


def name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _refuse_other(user: str | None) -> None:
    current = name_of(os.geteuid())
    if user and user not in (current, str(os.geteuid())):
        raise ConfigurationError(
            f"user is {user}, but this runs as {current}, who cannot become somebody else. "
            f"Run it as root or as {user}, or leave user out."
        )


def _named(user: str, media_path: str) -> pwd.struct_passwd:
    if user.isdigit():
        return _numbered(int(user), media_path)
    try:
        return pwd.getpwnam(user)
    except KeyError as error:
        raise ConfigurationError(
            f"There is no user {user} on this host. Set synapse_s3_synapse_user to the user Synapse runs as."
        ) from error


def _numbered(uid: int, media_path: str) -> pwd.struct_passwd:
    """The user with this id, who need not have a name, as in a container. Its group is then that of the media store."""
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return pwd.struct_passwd((str(uid), "x", uid, _status(media_path).st_gid, "", "/", "/bin/sh"))


def _status(media_path: str) -> os.stat_result:
    try:
        return Path(media_path).stat()
    except OSError as error:
        raise ConfigurationError(
            f"The media store {media_path} cannot be looked at ({error.strerror}). "
            "Correct synapse_s3_media_path, or mount the disk it is on."
        ) from error


def _owner(media_path: str) -> pwd.struct_passwd:
    uid = _status(media_path).st_uid
    try:
        return pwd.getpwuid(uid)
    except KeyError as error:
        raise ConfigurationError(
            f"{media_path} belongs to user id {uid}, which no user on this host has. "
            "Name the user Synapse runs as (synapse_s3_synapse_user)."
        ) from error
