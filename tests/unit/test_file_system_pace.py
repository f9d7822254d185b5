# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The number of threads for a file system."""

from __future__ import annotations

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.pace import FileSystemPace


@pytest.mark.parametrize(
    ("seconds", "threads", "batch"), [(10e-6, 4, 32), (1e-3, 13, 10), (5e-3, 63, 2), (50e-3, 64, 1)]
)
def test_slower_opens_get_more_threads_and_smaller_batches(seconds: float, threads: int, batch: int) -> None:
    pace = FileSystemPace(64)
    for dummy in range(16):
        pace.note(seconds)
    assert (pace.threads, pace.batch) == (threads, batch)


def test_opens_that_waited_for_the_cpu_do_not_count() -> None:
    pace = FileSystemPace(64)
    for number in range(160):
        pace.note(5e-3 if number % 16 else 20e-6)
    assert (pace.threads, pace.batch) == (4, 32)


def test_no_more_threads_than_the_concurrency() -> None:
    pace = FileSystemPace(2)
    assert pace.threads == 2
