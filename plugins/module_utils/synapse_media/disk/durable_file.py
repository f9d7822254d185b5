# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file that is replaced in one step and is on the disk afterwards: a power cut leaves the old one or the new one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def write_durably(
    path: Path, content: bytes, prepare: Callable[[Path], None], check: Callable[[], None] | None = None
) -> None:
    """Replaces or creates the file. After a failure what was there is unchanged. Raises OSError.

    `prepare` gives the temporary file, which only its owner can read, the owner and the mode of the file.
    `check` is called just before the file is replaced, and raises an exception if it must not be.
    """
    # Programs that read a whole directory (Synapse, node_exporter) do not read a file of this name that a crash leaves.
    descriptor, name = tempfile.mkstemp(prefix=".synapse-s3-", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            prepare(temporary)
            # Before the file gets its name: otherwise the name could be on the disk earlier than the content.
            os.fsync(stream.fileno())
        if check:
            check()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Makes sure that what was created, renamed or deleted in the directory is so on the disk too. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
