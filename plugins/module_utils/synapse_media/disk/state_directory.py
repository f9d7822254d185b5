# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory in which a run keeps its lock and its records: owned by the user it runs as. Files are put whole."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Sequence
from pathlib import Path

from ..errors import ConfigurationError
from ..process.privileges import name_of
from .durable_file import write_durably


def make_state_dir(path: str, owner: pwd.struct_passwd | None) -> None:
    """Makes the directory, 0700 and the worker's, where it is missing. Called before root is given up."""
    directory = Path(path)
    if directory.exists():
        return
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700)
        if owner is not None:
            os.chown(directory, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
    except OSError as error:
        raise ConfigurationError(
            f"The state directory {path} cannot be made ({error.strerror}). "
            "Make it and give it to the user this runs as, or set synapse_s3_migrate_state_dir."
        ) from error


def check_ours(directory: Path, names: Sequence[str]) -> None:
    """A directory or a file of somebody else's would fail half way, or let somebody else plant one of the names."""
    me = os.geteuid()
    remedy = f"Run chown -R {name_of(me)} {directory} and chmod 0700 {directory}, or set synapse_s3_migrate_state_dir."
    try:
        status = directory.stat()
    except OSError as error:
        raise ConfigurationError(
            f"The state directory {directory} cannot be used ({error.strerror}). {remedy}"
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise ConfigurationError(f"The state directory {directory} is no directory. Set synapse_s3_migrate_state_dir.")
    if status.st_uid != me:
        raise ConfigurationError(f"The state directory {directory} belongs to {name_of(status.st_uid)}. {remedy}")
    if status.st_mode & 0o022:
        raise ConfigurationError(f"Others may write to the state directory {directory}. {remedy}")
    for name in names:
        path = directory / name
        if path.exists() and path.stat().st_uid != me:
            raise ConfigurationError(f"{path} belongs to {name_of(path.stat().st_uid)}. {remedy}")


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Puts the file in place durably, or leaves what was there. Nobody reads it before it has its mode; OSError."""
    write_durably(path, text.encode(), lambda temporary: temporary.chmod(mode))
