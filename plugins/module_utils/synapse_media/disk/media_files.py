# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of the media store for one run: opened and read in threads, as many as the file system is worth."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from ..event_loop.loop import Loop
from ..event_loop.semaphore import Semaphore
from .content import CHANGED, Content, ContentProblem, open_file, read_batch
from .local_file import LocalFile
from .own_unlinks import OwnUnlinks
from .pace import FileSystemPace


def _no_checksum() -> str:
    return ""


class MediaFiles:
    """Everything below `root`, the media store. At most `most_threads` threads read at once."""

    def __init__(self, loop: Loop, root: str, most_threads: int = 4) -> None:
        self.loop = loop
        self.root = root
        self.most_threads = most_threads
        self.unlinks = OwnUnlinks()
        #: How long this file system takes to open a file.
        self.pace = FileSystemPace(most_threads)
        #: Whether the run is ending early. No signal ends work in threads, so it looks at this.
        self.stopping = False
        self._readers = Semaphore(loop, self.pace.threads)

    def is_stopping(self) -> bool:
        return self.stopping

    async def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """As Loop.in_thread(); slow file systems are given more threads."""
        self.loop.allow_threads(self.pace.threads)
        return await self.loop.in_thread(function, *arguments)

    async def read(
        self, wanted: Sequence[tuple[LocalFile, bool, bool]], checksum: Callable[[], str] = _no_checksum
    ) -> list[Content | ContentProblem]:
        """As read_batch(). `checksum` gives the name of the checksum that large files get in place of an MD5."""
        async with self._readers:
            # Asked for only now: the name may have become known while other files were read.
            contents: list[Content | ContentProblem] = await self.in_thread(
                read_batch, self.root, wanted, self.is_stopping, self.unlinks, self.pace, checksum()
            )
        self._readers.allow(self.pace.threads)
        return contents

    async def open(self, file: LocalFile) -> int:
        """As open_file()."""
        descriptor: int = await self.in_thread(self.open_now, file)
        return descriptor

    def open_now(self, file: LocalFile) -> int:
        """As open(), for callers in a thread."""
        return open_file(self.root, file, self.unlinks)

    def check_unchanged(self, file: LocalFile, descriptor: int) -> None:
        """Raises ContentProblem if an open file is no longer the one that the walk saw."""
        if not self.unlinks.is_same_file(file.identity, os.fstat(descriptor)):
            raise ContentProblem("The file changed while it was read. The next run looks at it again.", CHANGED)
