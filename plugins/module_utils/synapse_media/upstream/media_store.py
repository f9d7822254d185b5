# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks that a directory is the media store.

A wrong path, or the mount point of an absent disk, must be distinguished from the media store of a server whose media
is all in the bucket: to the script they all look as if every file were gone.

A mark distinguishes them: a file in the media store whose id is recorded in the state directory. Device and inode
numbers are not suitable: they change with a reboot, a restored backup or a network mount. The mark also keeps the media
store from being empty, so that no program that removes empty directories removes it.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from ..disk.layout import FIRST_LEVEL, MARK_NAME
from ..errors import ConfigurationError
from .workspace import STORE_ID_NAME

_MARK_TEXT = """{id}
# synapse-s3 looks for this file before it moves media, so that it never takes another directory,
# or the empty mount point of a disk that is not mounted, for the media store. Leave it here.
"""


class MediaStore:
    def __init__(self, media_path: str, state_dir: Path) -> None:
        # Resolved once: media_store_path itself may be a link to the disk with the media.
        self.root = os.path.realpath(media_path)
        self._path = media_path
        self._mark = Path(self.root) / MARK_NAME
        self._known = state_dir / STORE_ID_NAME

    def check(self, rows_at_stake: int) -> None:
        """Refuse anything but the media store. If no row could be marked by mistake, an empty directory is accepted."""
        self._check_directory()
        known, mark = _first_line(self._known), _first_line(self._mark)
        if known:
            if mark is None:
                raise ConfigurationError(
                    f"{self._path} is not the media store used before: its mark {MARK_NAME} is not there. "
                    "Mount the disk it is on, or correct synapse_s3_media_path. "
                    f"If the media store was moved without its hidden files, remove {self._known}."
                )
            if mark != known:
                raise ConfigurationError(
                    f"{self._path} is another media store than the one used before: its mark {MARK_NAME} differs. "
                    f"Correct synapse_s3_media_path. If it is right, remove {self._known}."
                )
        elif mark is None and rows_at_stake and not self._has_first_level():
            raise ConfigurationError(
                f"{self._path} is no media store: it has none of the directories {', '.join(FIRST_LEVEL)}, "
                f"yet {rows_at_stake} media are expected in it. "
                "Mount the disk it is on, or correct synapse_s3_media_path. "
                f"If all its media is in the bucket already, make an empty directory {FIRST_LEVEL[0]} in it."
            )

    @property
    def is_known(self) -> bool:
        """Return whether an earlier run marked it, or the operator with a mark of their own."""
        return bool(_first_line(self._known)) or self._mark.exists()

    def remember(self) -> None:
        """Mark the media store in the first run that accepts it; an existing mark is taken over."""
        if _first_line(self._known) or not (self._mark.exists() or self._has_first_level()):
            return
        mark = _first_line(self._mark)
        if not mark:
            mark = str(uuid.uuid4())
            try:
                self._mark.write_text(_MARK_TEXT.format(id=mark), encoding="utf-8")
            except OSError:
                # Only deletion has to write here, and it reports its own errors; the checks above still apply.
                return
        self._known.write_text(f"{mark}\n", encoding="utf-8")

    def _check_directory(self) -> None:
        remedy = (
            "Correct synapse_s3_media_path, or media_store_path in Synapse's configuration, or mount the disk it is on."
        )
        directory = Path(self.root)
        if not directory.is_dir():
            what = "is no directory" if directory.exists() else "does not exist"
            raise ConfigurationError(f"The media store {self._path} {what}. {remedy}")
        if not os.access(directory, os.R_OK | os.X_OK):
            raise ConfigurationError(
                f"The media store {self._path} cannot be read by the user this runs as. "
                "Give it to that user, or set synapse_s3_synapse_user."
            )

    def _has_first_level(self) -> bool:
        return any((Path(self.root) / name).is_dir() for name in FIRST_LEVEL)


def _first_line(path: Path) -> str | None:
    """Return None if the file is missing, "" if it is empty."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}). Give it to the user this runs as.") from error
    return lines[0].strip() if lines else ""
