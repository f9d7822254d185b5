# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The media store's files in S3's order of keys, found without following a link.

S3 sorts by the UTF-8 bytes of whole keys. That is the order of code points, which Python sorts strings by, and a
directory stands where its name with the slash behind it does: "a.b/x" comes before "a/x".
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import NamedTuple, Union

from ..errors import ConfigurationError, MediaError
from .directories import encoded, open_patiently
from .layout import (
    LOCAL,
    LOCAL_CONTENT,
    LOCAL_THUMBNAILS,
    OFFLOADED_DIRECTORIES,
    REMOTE,
    REMOTE_CONTENT,
    REMOTE_THUMBNAILS,
    Media,
)
from .local_file import LocalFile
from .pace import FileSystemPace
from .read_ahead import Directory, ReadAhead

__all__ = [
    "SPECIAL",
    "SYMLINK",
    "UNREADABLE_DIRECTORY",
    "UNUSABLE_NAME",
    "EmptyDirectory",
    "Entry",
    "Left",
    "LocalFile",
    "entries",
    "walk",
]

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


class Left(NamedTuple):
    """What is left where it is; `size` is in bytes, 0 for what is no file."""

    reason: str
    path: str
    size: int


class EmptyDirectory(NamedTuple):
    """A directory without entries where Synapse would put some, below the first level."""

    path: str


Entry = Union[LocalFile, Left, EmptyDirectory]


def walk(root: str, on_left: Callable[[str, str, int], None], most_threads: int = 1) -> Iterator[LocalFile]:
    """Each regular file where Synapse would put one, in ascending order of its key.

    `on_left(reason, path, size)` is told of everything else on the way; a directory counts once, without its content.
    Where opens are slow, up to `most_threads` others read ahead. What is in memory is one directory's names a level,
    and some thousand files that were read ahead. Raises ConfigurationError if the root cannot be opened.
    """
    with contextlib.closing(entries(root, most_threads)) as found:
        for entry in found:
            if isinstance(entry, LocalFile):
                yield entry
            elif isinstance(entry, Left):
                on_left(*entry)


def entries(root: str, most_threads: int) -> Generator[Entry, None, None]:
    """As walk(): the files, what is left and the empty directories, each at its place in the order."""
    try:
        descriptor = open_patiently(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigurationError(
            f"The media store {root} cannot be read ({error.strerror}). "
            "Mount the disk it is on, or correct synapse_s3_media_path."
        ) from error
    top: Directory[Entry] = Directory(None, "", "")
    top.names = sorted(OFFLOADED_DIRECTORIES, key=_as_directory)
    top.descriptor = descriptor
    top.context = _Level()
    pace = FileSystemPace(most_threads)
    yield from ReadAhead(_Reader(pace).read, pace).walk(top)


class _Level(NamedTuple):
    """What is expected of the entries of a directory, which is reached by these names."""

    names: tuple[str, ...] = ()
    # Of the entries' names; any for 0.
    length: int = _ANY
    # Whether each entry is a directory of files.
    holds_files: bool = False

    def below(self, name: str) -> _Level:
        """For the entries of an entry."""
        names = (*self.names, name)
        levels = _LEVELS[names[0]]
        return _Level(names, levels[len(names) - 1], len(names) == len(levels))


class _Reader:
    """Reads one directory at a time, for several threads."""

    def __init__(self, pace: FileSystemPace) -> None:
        self._pace = pace

    def read(self, directory: Directory[Entry]) -> Iterable[Entry]:
        parent, name, path = directory.parent, directory.name, directory.path
        if parent is None:
            raise AssertionError("only the root has no parent, and it is read elsewhere")
        level: _Level = parent.context
        if not name.isprintable() or (level.length and len(name) != level.length):
            return _left(parent.descriptor, name, path)
        began = time.perf_counter()
        try:
            descriptor = open_patiently(_on_disk(name), _LISTING, parent.descriptor)
        except FileNotFoundError:
            # Synapse and the removal prune empty directories while this looks.
            return ()
        except NotADirectoryError:
            return _left(parent.descriptor, name, path)
        except OSError as error:
            return (_unreadable(path, error),)
        found: list[str] = []
        try:
            found = _listed(descriptor)
            self._pace.note(time.perf_counter() - began)
            if found:
                if level.holds_files:
                    files = _files(descriptor, path, level.names[0], [*level.names[1:], name], found)
                    # From here on the generator closes it.
                    descriptor = -1
                    return files
                found.sort(key=_as_directory)
                directory.context = level.below(name)
                directory.names, directory.descriptor, descriptor = found, descriptor, -1
                return ()
        except FileNotFoundError:
            return ()
        except OSError as error:
            return (_unreadable(path, error),)
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return (EmptyDirectory(path),) if level.names else ()


def _files(directory: int, path: str, first: str, above: list[str], found: list[str]) -> Iterator[Entry]:
    """What is in an open directory, which is closed at the end; `above` are the names from the first level to it."""
    try:
        kind = REMOTE if first in (REMOTE_CONTENT, REMOTE_THUMBNAILS) else LOCAL
        origin, ids = (above[0], above[1:]) if kind == REMOTE else ("", above)
        id_above = "".join(ids)
        media = Media(kind, origin, id_above) if first in (LOCAL_THUMBNAILS, REMOTE_THUMBNAILS) else None
        found.sort()
        for name in found:
            where = f"{path}/{name}"
            if not name.isprintable():
                yield from _left(directory, name, where)
                continue
            try:
                status = os.stat(_on_disk(name), dir_fd=directory, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                # A directory that may be listed but not searched.
                yield _unreadable(where, error)
                continue
            if not stat.S_ISREG(status.st_mode):
                yield _reason(status, where)
                continue
            yield LocalFile(
                where,
                media or Media(kind, origin, id_above + name),
                status.st_size,
                status.st_mtime_ns,
                status.st_ino,
                status.st_dev,
                status.st_ctime_ns,
            )
    finally:
        os.close(directory)


def _left(directory: int, name: str, path: str) -> Iterator[Left]:
    """Why something in an open directory is left, unless it is gone."""
    try:
        status = os.stat(_on_disk(name), dir_fd=directory, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield _unreadable(path, error)
    else:
        yield _reason(status, path)


def _listed(descriptor: int) -> list[str]:
    names = os.listdir(descriptor)
    if _NAMES_ARE_UTF8:
        return names
    return [os.fsencode(name).decode("utf-8", "surrogateescape") for name in names]


def _unreadable(path: str, error: OSError) -> Left:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        raise MediaError(
            f"The walk through the media store ended at {_printable(path)} ({error.strerror}). "
            "Allow this process more open files (LimitNOFILE of the unit, ulimit -n), or lower concurrency."
        ) from error
    return Left(UNREADABLE_DIRECTORY, _printable(path), 0)


def _reason(status: os.stat_result, path: str) -> Left:
    """Why something is left: for what it is, else for its name or its place."""
    if stat.S_ISLNK(status.st_mode):
        return Left(SYMLINK, _printable(path), 0)
    if stat.S_ISREG(status.st_mode):
        return Left(UNUSABLE_NAME, _printable(path), status.st_size)
    if stat.S_ISDIR(status.st_mode):
        return Left(UNUSABLE_NAME, _printable(path), 0)
    return Left(SPECIAL, _printable(path), 0)


def _on_disk(name: str) -> str | bytes:
    # Python encodes it by itself where it means the same.
    return name if _NAMES_ARE_UTF8 else encoded(name)


def _as_directory(name: str) -> str:
    return name + "/"


def _printable(path: str) -> str:
    """Safe in a report: what is not UTF-8 or not printable is spelled out."""
    if path.isprintable():
        return path
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in path)
