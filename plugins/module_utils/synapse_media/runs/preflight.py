# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks before anything is done. Each refusal names the cause and the remedy."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ..database.rows import Rows
from ..disk.layout import FIRST_LEVEL, MARK_NAME, media_on_disk
from ..disk.lock import LOCK_NAME
from ..disk.state_directory import check_ours, write_whole
from ..errors import ConfigurationError
from ..settings.location import LocationRecord, StoreLocation, moved
from ..settings.source import Source
from ..settings.store import StoreSettings

LOCATION_NAME = "location"


class UsedLocation:
    """The location in S3 that earlier runs used, as the state directory records it. It holds no secret."""

    def __init__(self, state_dir: str, store: StoreSettings) -> None:
        self._record = LocationRecord(Path(state_dir) / LOCATION_NAME, StoreLocation.of(store))
        self._recorded = False

    def check(self) -> None:
        """Raises ConfigurationError if the settings name another location than the one used before."""
        before = self._record.read()
        differences = self._record.location.differences(before) if before else []
        if differences:
            raise ConfigurationError(
                f"{moved(differences, self._record.location, str(self._record.path), None)} "
                f"Without Ansible: remove {self._record.path}."
            )

    def record(self) -> None:
        """Before the first object is put. Raises ConfigurationError if the record cannot be written.

        A record of an earlier release, without the customer key, is completed.
        """
        before = self._record.read()
        if self._record.is_current(before):
            return
        try:
            write_whole(self._record.path, self._record.text())
        except OSError as error:
            raise ConfigurationError(
                f"{self._record.path} cannot be written ({error.strerror}). "
                "Free space there, and give its directory to the user this runs as."
            ) from error
        self._recorded = before is None

    def withdraw(self) -> None:
        """For a run that found and put nothing there: the settings may have been wrong. An earlier record stays."""
        if self._recorded:
            self._record.path.unlink(missing_ok=True)
            self._recorded = False


# A full disk may still take an empty file, so the check writes this much.
_BLOCK = b"\0" * 4096
_OF_THE_DISK = ("lost+found",)
_STATE = (LOCK_NAME, LOCATION_NAME)


def media_store_root(source: Source) -> str:
    """The media store's path without symbolic links, which media_store_path itself may well be."""
    path = source.media_path
    if not source.keeps_local_media:
        raise ConfigurationError(
            "enable_local_media_storage is false in Synapse's configuration, so Synapse keeps media in S3 alone and "
            "there is nothing to move. Remove the timer of the migration, or set enable_local_media_storage to true."
        )
    remedy = (
        "Correct synapse_s3_media_path, or media_store_path in Synapse's configuration, or mount the disk it is on."
    )
    root = os.path.realpath(path)
    try:
        # A directory that may not be read is not the same as one that does not exist.
        is_directory = Path(root).is_dir()
        exists = is_directory or Path(root).exists()
    except PermissionError:
        is_directory = exists = True
    if not exists:
        raise ConfigurationError(f"The media store {path} does not exist. {remedy}")
    if not is_directory:
        raise ConfigurationError(f"The media store {path} is no directory. {remedy}")
    if not os.access(root, os.R_OK | os.X_OK):
        raise ConfigurationError(
            f"The media store {path} cannot be read by the user this runs as. "
            "Give it to that user, or set synapse_s3_synapse_user."
        )
    return root


def check_content(root: str, rows: Rows) -> None:
    """Refuses a media store and a database that do not belong together: a wrong path, or another server's database."""
    if rows.empty():
        if next(media_on_disk(root), None) is not None:
            raise ConfigurationError(
                f"Synapse's database knows of no media at all, but {root} holds some. It is another server's "
                "database, or an empty one: correct synapse_s3_database, or database in Synapse's configuration."
            )
        # A new server has neither rows nor directories.
        if all(entry.name in _OF_THE_DISK for entry in Path(root).iterdir()):
            return
    if not is_media_store(Path(root)):
        raise ConfigurationError(
            f"{root} is no media store: it has none of the directories {', '.join(FIRST_LEVEL)}. "
            "Mount the disk it is on, or correct synapse_s3_media_path. "
            f"If all its media is in the bucket already, make an empty directory {FIRST_LEVEL[0]} in it."
        )


def check_state_dir(state_dir: str, *, rehearse: bool) -> None:
    """Refuses a state directory of another user, or one that takes no file. A rehearsal needs no directory."""
    directory = Path(state_dir)
    if rehearse and not directory.exists():
        return
    check_ours(directory, _STATE)
    # Once both exist nothing more is written, so that a run can free a disk that is full.
    if not rehearse and not all((directory / name).exists() for name in _STATE):
        error = problem_with_writing(directory)
        if error is not None:
            raise ConfigurationError(
                f"The state directory {state_dir} cannot be written to ({error.strerror}). "
                "Free space there, or set synapse_s3_migrate_state_dir to a directory on another disk."
            ) from error


def problem_with_writing(directory: Path) -> OSError | None:
    """Why no file of some size can be written there; None if one can."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(_BLOCK)
    except OSError as error:
        return error
    return None


def is_media_store(root: Path) -> bool:
    """Whether a directory has one of Synapse's directories in it, or the mark of the migrate job."""
    return (root / MARK_NAME).is_file() or any((root / name).is_dir() for name in FIRST_LEVEL)
