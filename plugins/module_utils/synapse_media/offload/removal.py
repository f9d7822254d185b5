# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The only place that unlinks media: what is proven in the bucket, and still the file that was proven."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from typing import Union

from .directories import OpenDirectories
from .local_file import Identity, LocalFile, identity_of

DELETED = "deleted"
CHANGED = "changed"
VANISHED = "vanished"

# DELETED, CHANGED or VANISHED; an OSError where the file is there as it was and cannot be removed.
Removed = Union[str, OSError]


def remove_batch(root: str, files: Sequence[tuple[LocalFile, Identity]]) -> list[Removed]:
    """Unlinks each file that is still what its identity says, then the directories that this emptied.

    The first level (local_content and the like) stays, and so does the media store. Raises nothing.
    """
    outcomes: list[Removed] = []
    emptied: set[str] = set()
    with OpenDirectories(root) as directories:
        for file, identity in files:
            outcome = _remove(directories, file, identity)
            outcomes.append(outcome)
            if outcome == DELETED:
                emptied.add(_parent(file.path))
        _prune(directories, emptied)
    return outcomes


def _remove(directories: OpenDirectories, file: LocalFile, identity: Identity) -> Removed:
    try:
        directory, name = directories.place_of(file.path)
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode) or identity_of(status) != identity:
            return CHANGED
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return VANISHED
    except NotADirectoryError:
        # A link, say, took the place of a directory on the way.
        return CHANGED
    except OSError as error:
        return error
    return DELETED


def _prune(directories: OpenDirectories, candidates: Iterable[str]) -> None:
    """Removes directories that are empty, level by level upwards."""
    level = set(candidates)
    while level:
        above = set()
        # Neighbours together, so that their parent is opened once.
        for path in sorted(level):
            if "/" in path and _remove_empty(directories, path):
                above.add(_parent(path))
        level = above


def _remove_empty(directories: OpenDirectories, path: str) -> bool:
    try:
        parent, name = directories.place_of(path)
        os.rmdir(name, dir_fd=parent)
    except OSError:
        # In use again, gone, or not this user's to remove: a directory that stays takes nothing from anybody.
        return False
    return True


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
