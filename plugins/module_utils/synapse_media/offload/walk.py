# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The media store's files in S3's order of keys, found without following a link.

S3 sorts by the UTF-8 bytes of whole keys. That is the order of code points, which Python sorts strings by, and a
directory stands where its name with the slash behind it does: "a.b/x" comes before "a/x".
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence

from ..errors import ConfigurationError
from ..layout import (
    LOCAL,
    LOCAL_CONTENT,
    LOCAL_THUMBNAILS,
    OFFLOADED_DIRECTORIES,
    REMOTE,
    REMOTE_CONTENT,
    REMOTE_THUMBNAILS,
    Media,
)
from .directories import encoded
from .local_file import LocalFile

__all__ = ["SPECIAL", "SYMLINK", "UNREADABLE_DIRECTORY", "UNUSABLE_NAME", "LocalFile", "walk"]

# Why something is left where it is.
SYMLINK = "symlink"
SPECIAL = "special"
UNUSABLE_NAME = "unusable_name"
UNREADABLE_DIRECTORY = "unreadable_directory"

_LISTING = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMES_ARE_UTF8 = sys.getfilesystemencoding().lower() in ("utf-8", "utf8")

# How long the names of the directories below a first level are; 0 stands for any length.
_ANY, _PAIR = 0, 2
_LEVELS = {
    LOCAL_CONTENT: (_PAIR, _PAIR),
    LOCAL_THUMBNAILS: (_PAIR, _PAIR, _ANY),
    REMOTE_CONTENT: (_ANY, _PAIR, _PAIR),
    REMOTE_THUMBNAILS: (_ANY, _PAIR, _PAIR, _ANY),
}


def walk(root: str, on_left: Callable[[str, str, int], None]) -> Iterator[LocalFile]:
    """Each regular file where Synapse would put one, in ascending order of its key.

    `on_left(reason, path, size)` is told of everything else on the way; a directory counts once, without its content.
    Only one directory's names a level are in memory. Raises ConfigurationError where the root cannot be opened.
    """
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigurationError(
            f"The media store {root} cannot be read ({error.strerror}). "
            "Mount the disk it is on, or correct synapse_s3_media_path."
        ) from error
    try:
        walker = _Walker(on_left)
        for first in sorted(OFFLOADED_DIRECTORIES, key=_as_directory):
            yield from walker.below(descriptor, first, first, _LEVELS[first], [])
    finally:
        os.close(descriptor)


class _Walker:
    def __init__(self, on_left: Callable[[str, str, int], None]) -> None:
        self._on_left = on_left

    def below(
        self, parent: int, name: str, path: str, levels: Sequence[int], names: Sequence[str]
    ) -> Iterator[LocalFile]:
        """The files below a directory; `names` are those of the directories between the first level and this one."""
        try:
            descriptor = os.open(encoded(name), _LISTING, dir_fd=parent)
        except FileNotFoundError:
            # Synapse and the removal prune empty directories while this looks.
            return
        except OSError as error:
            if isinstance(error, NotADirectoryError):
                self._leave(parent, name, path)
            else:
                self._on_left(UNREADABLE_DIRECTORY, _printable(path), 0)
            return
        try:
            found = self._listed(descriptor, path)
            if not levels:
                yield from self._files(descriptor, path, found, names)
                return
            length, *rest = levels
            found.sort(key=_as_directory)
            for entry in found:
                where = f"{path}/{entry}"
                if (length and len(entry) != length) or not entry.isprintable():
                    self._leave(descriptor, entry, where)
                else:
                    yield from self.below(descriptor, entry, where, rest, [*names, entry])
        finally:
            os.close(descriptor)

    def _files(self, directory: int, path: str, found: list[str], names: Sequence[str]) -> Iterator[LocalFile]:
        first = path.partition("/")[0]
        kind = REMOTE if first in (REMOTE_CONTENT, REMOTE_THUMBNAILS) else LOCAL
        origin, ids = (names[0], names[1:]) if kind == REMOTE else ("", names)
        is_thumbnail = first in (LOCAL_THUMBNAILS, REMOTE_THUMBNAILS)
        id_above = "".join(ids)
        found.sort()
        for name in found:
            where = f"{path}/{name}"
            if not name.isprintable():
                self._leave(directory, name, where)
                continue
            status = self._status(directory, name, where)
            if status is None:
                continue
            if not stat.S_ISREG(status.st_mode):
                self._on_left(*_reason(status, where))
                continue
            yield LocalFile(
                where,
                Media(kind, origin, id_above if is_thumbnail else id_above + name),
                status.st_size,
                status.st_mtime_ns,
                status.st_ino,
                status.st_dev,
                status.st_ctime_ns,
            )

    def _listed(self, descriptor: int, path: str) -> list[str]:
        try:
            names = os.listdir(descriptor)
        except FileNotFoundError:
            return []
        except OSError:
            self._on_left(UNREADABLE_DIRECTORY, _printable(path), 0)
            return []
        if _NAMES_ARE_UTF8:
            return names
        return [os.fsencode(name).decode("utf-8", "surrogateescape") for name in names]

    def _status(self, directory: int, name: str, path: str) -> os.stat_result | None:
        try:
            return os.stat(encoded(name), dir_fd=directory, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            # A directory that may be listed but not searched.
            self._on_left(UNREADABLE_DIRECTORY, _printable(path), 0)
            return None

    def _leave(self, directory: int, name: str, path: str) -> None:
        status = self._status(directory, name, path)
        if status is not None:
            self._on_left(*_reason(status, path))


def _reason(status: os.stat_result, path: str) -> tuple[str, str, int]:
    """Why something is left: for what it is, else for its name or its place."""
    if stat.S_ISLNK(status.st_mode):
        return SYMLINK, _printable(path), 0
    if stat.S_ISREG(status.st_mode):
        return UNUSABLE_NAME, _printable(path), status.st_size
    if stat.S_ISDIR(status.st_mode):
        return UNUSABLE_NAME, _printable(path), 0
    return SPECIAL, _printable(path), 0


def _as_directory(name: str) -> str:
    return name + "/"


def _printable(path: str) -> str:
    """Safe in a report: what is not UTF-8 or not printable is spelled out."""
    if path.isprintable():
        return path
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in path)
