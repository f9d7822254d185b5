# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run is about to do, in a temporary file, so that memory stays flat."""

from __future__ import annotations

import marshal
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, Any

from ..errors import ConfigurationError, MediaError


class Spool:
    """Batches of tuples of plain values, written once and then read once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, items: Sequence[tuple[Any, ...]]) -> None:
        """Raises MediaError if the disk is full."""
        if not items:
            return
        try:
            marshal.dump([tuple(each) for each in items], self._file)
        except OSError as error:
            raise MediaError(
                f"The list of what is to be done could not be written ({error.strerror}). Free space in the state "
                "directory (synapse_s3_migrate_state_dir)."
            ) from error

    def batches(self) -> Iterator[list[tuple[Any, ...]]]:
        """All that was added; call it once, after the last add()."""
        marshal.dump([], self._file)
        self._file.seek(0)
        while True:
            batch: list[tuple[Any, ...]] = marshal.load(self._file)  # noqa: S302 - of this process's own making
            if not batch:
                return
            yield batch


def temporary_file(state_dir: str) -> IO[bytes]:
    """A file without a name, in the state directory where that can be written. Raises ConfigurationError."""
    directory = state_dir if os.access(state_dir, os.W_OK) else None
    try:
        return tempfile.TemporaryFile(dir=directory)
    except OSError as error:
        raise ConfigurationError(
            f"No temporary file can be made in {directory or tempfile.gettempdir()} ({error.strerror}). "
            "Free space there."
        ) from error
