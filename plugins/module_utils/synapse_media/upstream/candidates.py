# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that the script would find for each media in cache.db, by its own rules, and reasons not to touch them."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..disk.layout import Media, content_path, is_ordinary, thumbnail_directory
from ..reporting import SHOWN
from .plan import Plan, PlannedFile
from .report import Problems

# Synapse writes thumbnails in place: a file that is a few seconds old may be half written.
SETTLE_SECONDS = 5.0


@dataclass
class Findings:
    """The number of media looked up, and the problems found."""

    media: int = 0
    media_without_files: int = 0
    # The first of these media, for messages.
    some_without_files: list[str] = field(default_factory=list)
    # Paths so unexpected that the whole step is refused.
    refused: Problems = field(default_factory=Problems)
    # Reasons not to touch one file.
    blocked: Problems = field(default_factory=Problems)
    # Paths that cannot be examined, so that it is unknown whether they exist.
    hidden: Problems = field(default_factory=Problems)

    def note_missing(self, path: str) -> None:
        self.media_without_files += 1
        if len(self.some_without_files) < SHOWN:
            self.some_without_files.append(path)


def list_candidates(root: str, offered: Iterable[Media], plan: Plan, *, deleting: bool) -> Findings:
    findings = Findings()
    plan.add(_files(_Disk(root, deleting, findings), offered, findings))
    return findings


def look_for_files(root: str, offered: Iterable[Media]) -> Findings:
    """The same without a plan."""
    findings = Findings()
    for dummy in _files(_Disk(root, False, findings), offered, findings):
        pass
    return findings


def wait_until_settled(plan: Plan) -> bool:
    """Wait until the newest file is old enough; return True if it waited, so that the files must be listed again."""
    youngest = plan.youngest_mtime_ns()
    if youngest is None:
        return False
    remaining = min(SETTLE_SECONDS, youngest / 1e9 + SETTLE_SECONDS - time.time())
    if remaining <= 0:
        return False
    time.sleep(remaining)
    return True


def _files(disk: _Disk, offered: Iterable[Media], findings: Findings) -> Iterator[PlannedFile]:
    for number, media in enumerate(offered):
        findings.media += 1
        if not is_ordinary(media):
            findings.refused.add(repr(tuple(media)), "the row names no path that Synapse would make")
            continue
        seen_before = disk.seen
        for path, status in disk.files_of(media):
            yield PlannedFile(path, number, status.st_size, status.st_mtime_ns, str(status.st_ino))
        if disk.seen == seen_before:
            findings.note_missing(content_path(media))


class _Disk:
    def __init__(self, root: str, deleting: bool, findings: Findings) -> None:
        self._root = root
        self._deleting = deleting
        self._findings = findings
        self._last_directory = ("", False)
        self.seen = 0

    def files_of(self, media: Media) -> Iterator[tuple[str, os.stat_result]]:
        original = content_path(media)
        directory, dummy, name = original.rpartition("/")
        yield from self._planned(directory, [name])
        thumbnails = thumbnail_directory(media)
        yield from self._planned(thumbnails, self._thumbnail_names(thumbnails))

    def _planned(self, directory: str, names: Iterable[str]) -> Iterator[tuple[str, os.stat_result]]:
        for name in names:
            path = f"{directory}/{name}"
            status = self._status(path)
            if status is None:
                continue
            self.seen += 1
            link = self._link_above(directory)
            if link or stat.S_ISLNK(status.st_mode):
                self._findings.refused.add(link or path, "a symbolic link, and links are never followed: use a mount")
            elif not stat.S_ISREG(status.st_mode):
                self._findings.refused.add(path, "no regular file")
            elif not _is_utf8(name):
                self._findings.refused.add(path, "its name is not UTF-8, and S3 cannot hold it")
            else:
                self._note_obstacles(directory, path)
                yield path, status

    def _thumbnail_names(self, directory: str) -> list[str]:
        """Files only, as in upstream: a directory among the thumbnails is ignored."""
        try:
            with os.scandir(f"{self._root}/{directory}") as entries:
                return [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._findings.hidden.add(directory, f"cannot be read ({error.strerror})")
            return []

    def _status(self, path: str) -> os.stat_result | None:
        try:
            return os.lstat(f"{self._root}/{path}")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._findings.hidden.add(path, f"cannot be looked at ({error.strerror})")
            return None

    def _link_above(self, directory: str) -> str | None:
        """Return the first symbolic link on the path from the media store down to a directory."""
        names = directory.split("/")
        for depth in range(1, len(names) + 1):
            above = "/".join(names[:depth])
            if stat.S_ISLNK(os.lstat(f"{self._root}/{above}").st_mode):
                return above
        return None

    def _note_obstacles(self, directory: str, path: str) -> None:
        if not os.access(f"{self._root}/{path}", os.R_OK):
            self._findings.blocked.add(path, "cannot be read by this user")
        elif self._deleting and not self._can_delete_in(directory):
            self._findings.blocked.add(path, "cannot be deleted: this user may not write to its directory")

    def _can_delete_in(self, directory: str) -> bool:
        if self._last_directory[0] != directory:
            self._last_directory = (directory, os.access(f"{self._root}/{directory}", os.W_OK | os.X_OK))
        return self._last_directory[1]


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
