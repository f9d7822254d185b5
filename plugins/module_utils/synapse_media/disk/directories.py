# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories of the media store, opened level by level so that no symbolic link below it is ever followed."""

from __future__ import annotations

import errno
import os
import time
from types import TracebackType

# Enough to look names up in it and to change it; needs no permission to list it.
_HANDLE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ROOT = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC

# Seconds that an open waits for other threads to give descriptors back, and between two tries.
_PATIENCE = 30.0
_PAUSE = 0.02


def encoded(name: str) -> bytes:
    """The name as it is on disk, whatever the locale says: Synapse and S3 both mean UTF-8."""
    return name.encode("utf-8", "surrogateescape")


def open_patiently(name: str | bytes, flags: int, directory: int | None = None, *mode: int) -> int:
    """os.open(), tried again for a while where descriptors run out: connections and other threads give theirs back.

    Raises OSError, which then says "Too many open files".
    """
    until = 0.0
    while True:
        try:
            return os.open(name, flags, *mode, dir_fd=directory)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            now = time.monotonic()
            until = until or now + _PATIENCE
            if now >= until:
                raise
            time.sleep(_PAUSE)


class OpenDirectories:
    """The way down to the directory asked for last stays open, as the next one is most often beside it.

    The root itself may be a link: media_store_path often is, to the disk that holds the media.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._names: list[str] = []
        # One more than the names: the root comes first.
        self._descriptors: list[int] = []
        self._last = ("", -1)

    def descriptor(self, directory: str) -> int:
        """The open directory at a path relative to the root; it is closed by the next call for another one.

        Raises OSError: FileNotFoundError if it is gone, NotADirectoryError where a link or a file is in the way.
        """
        if self._last[1] >= 0 and self._last[0] == directory:
            return self._last[1]
        self.root_descriptor()
        names = directory.split("/")
        self._close_below(self._common_depth(names))
        for name in names[len(self._names) :]:
            if name in ("", ".", ".."):
                raise NotADirectoryError(f"{directory!r} does not name a directory below the media store")
            self._descriptors.append(open_patiently(encoded(name), _HANDLE, self._descriptors[-1]))
            self._names.append(name)
        self._last = (directory, self._descriptors[-1])
        return self._descriptors[-1]

    def root_descriptor(self) -> int:
        """The open root; it stays open. Raises OSError."""
        if not self._descriptors:
            self._descriptors.append(open_patiently(self._root, _ROOT))
        return self._descriptors[0]

    def place_of(self, path: str) -> tuple[int, bytes]:
        """The open directory and the name in it of a file or directory at a relative path; raises as descriptor()."""
        directory, dummy, name = path.rpartition("/")
        return self.descriptor(directory), encoded(name)

    def close(self) -> None:
        self._close_below(-1)

    def __enter__(self) -> OpenDirectories:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _common_depth(self, names: list[str]) -> int:
        depth = 0
        for ours, theirs in zip(self._names, names):
            if ours != theirs:
                break
            depth += 1
        return depth

    def _close_below(self, depth: int) -> None:
        """Keeps so many levels below the root; none and not even the root for -1."""
        self._last = ("", -1)
        while len(self._descriptors) > depth + 1:
            os.close(self._descriptors.pop())
        del self._names[max(depth, 0) :]
