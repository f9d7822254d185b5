# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file of the media store as the walk saw it."""

from __future__ import annotations

import os
from typing import NamedTuple, Protocol

from .layout import LOCAL_CONTENT, REMOTE_CONTENT, Media

_ORIGINALS = (LOCAL_CONTENT + "/", REMOTE_CONTENT + "/")


class Identity(NamedTuple):
    """What tells that a file is still the one that was seen; sizes in bytes, times in nanoseconds."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    # A restore that puts size and modification time back, on the same inode, shows in nothing else.
    ctime_ns: int = 0

    def is_of(self, status: os.stat_result) -> bool:
        """As `self == identity_of(status)`, which costs several times as much."""
        return (
            self.ctime_ns == status.st_ctime_ns
            and self.inode == status.st_ino
            and self.size == status.st_size
            and self.mtime_ns == status.st_mtime_ns
            and self.device == status.st_dev
        )


def identity_of(status: os.stat_result) -> Identity:
    return Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class LocalFile(NamedTuple):
    """`path` is relative to the media store, with "/": the key in S3 without the prefix."""

    path: str
    media: Media
    size: int
    mtime_ns: int
    inode: int
    device: int
    ctime_ns: int = 0

    @property
    def identity(self) -> Identity:
        return Identity(self.device, self.inode, self.size, self.mtime_ns, self.ctime_ns)

    @property
    def is_original(self) -> bool:
        """Whether the media's row speaks of this file: thumbnails have no length or digest of their own in it."""
        return self.path.startswith(_ORIGINALS)


class Removable(Protocol):
    """A file that is proven in the bucket, and what it was like when it was proven."""

    @property
    def file(self) -> LocalFile:
        """The file that may leave the disk."""

    @property
    def identity(self) -> Identity:
        """What the file was like when it was proven; it stays if it has changed since."""
