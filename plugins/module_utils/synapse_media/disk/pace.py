# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many threads a file system is worth: few where an open takes microseconds, many where it takes milliseconds."""

from __future__ import annotations

import math

# Enough for two cores and for what blocks now and then on a local disk.
FEWEST_THREADS = 4
# Seconds of waiting that one more thread is worth.
_WAIT_A_THREAD = 80e-6
# A thread that was switched off in the middle of an open looks slow; the fastest of so many was not.
_SAMPLE = 16
# Seconds that one job of a thread should last at most, and the files it is given at most.
_JOB_SECONDS = 0.01
_MOST_FILES = 32


class FileSystemPace:
    """Learns from how long opens take. `note` may be called from any thread: a lost update costs nothing."""

    def __init__(self, most_threads: int) -> None:
        self._most_threads = max(1, most_threads)
        self._fastest = math.inf
        self._noted = 0
        #: Seconds that an open takes.
        self.latency = 0.0

    def note(self, seconds: float) -> None:
        """One open took so long."""
        if seconds < self._fastest:
            self._fastest = seconds
        self._noted += 1
        if self._noted >= _SAMPLE:
            self.latency, self._fastest, self._noted = self._fastest, math.inf, 0

    @property
    def threads(self) -> int:
        """How many opens should be under way at once."""
        wanted = max(FEWEST_THREADS, math.ceil(self.latency / _WAIT_A_THREAD))
        return min(self._most_threads, wanted)

    @property
    def batch(self) -> int:
        """How many files to give one thread at a time."""
        if self.latency <= _JOB_SECONDS / _MOST_FILES:
            return _MOST_FILES
        return max(1, int(_JOB_SECONDS / self.latency))
