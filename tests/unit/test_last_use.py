# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of last use, and the search for the rank below which enough bytes leave and hardly more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.layout import LOCAL, Media
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload import last_use
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.last_use import (
    CutoffSearch,
    Histogram,
    Step,
    first_rank,
    rank_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

NOW_MS = 1_790_000_000_000
END = first_rank(NOW_MS + 1)


class File(NamedTuple):
    media: Media
    used_ms: int
    size: int

    @property
    def rank(self) -> int:
        return rank_of(self.media, self.used_ms)


def media(number: int) -> Media:
    return Media(LOCAL, "", f"AbCd{number:08d}")


def search(files: Sequence[File], wanted: int, tolerance: int) -> tuple[CutoffSearch, int]:
    """The finished search, and how many passes it took."""
    found = CutoffSearch(END, tolerance)
    passes = 0
    while not found.finished:
        passes += 1
        for file in files:
            found.add(file.rank, file.size)
        if passes == 1:
            found.want(wanted)
        found.narrow()
    return found, passes


def test_what_was_used_earlier_has_a_lower_rank() -> None:
    for number in range(500):
        assert rank_of(media(number), 1000) < rank_of(media(500 - number), 1001)
        assert first_rank(1000) <= rank_of(media(number), 1000) < first_rank(1001)
    assert rank_of(media(1), -5) == rank_of(media(1), 0)


def test_media_of_the_same_time_has_different_ranks() -> None:
    ranks = {rank_of(media(number), 1000) for number in range(500)}
    assert len(ranks) > 400


def test_the_ranks_never_change() -> None:
    """Other hosts that share the media store must find the same cutoff."""
    # CRC-32 of "local//AbCdEfGhIjKl", computed by another program, is 0xEE3768E6.
    assert rank_of(Media(LOCAL, "", "AbCdEfGhIjKl"), 7) == (7 << 12) | 0xEE3


def test_a_histogram_finds_the_step_in_which_a_number_of_bytes_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_use, "_STEP_BITS", 2)
    histogram = Histogram(100, 116)
    for rank, size in ((100, 5), (103, 5), (104, 7), (115, 1), (99, 1000), (116, 1000)):
        histogram.add(rank, size)
    assert [histogram.step_of(size) for size in (1, 10)] == [Step(100, 104, 10, 0)] * 2
    assert [histogram.step_of(size) for size in (11, 17)] == [Step(104, 108, 7, 10)] * 2
    assert histogram.step_of(18) == Step(112, 116, 1, 17)
    assert histogram.step_of(19) == Step(116, 116, 0, 18)


def test_nothing_leaves_if_nothing_has_to() -> None:
    files = [File(media(number), 1000, 10) for number in range(10)]
    for wanted in (0, -1, -(10**12)):
        found, passes = search(files, wanted, 0)
        assert (found.cutoff, found.moved, passes) == (0, 0, 1)


def test_everything_leaves_if_there_is_too_little() -> None:
    files = [File(media(number), NOW_MS, 10) for number in range(10)]
    found, passes = search(files, 101, 0)
    assert (found.cutoff, found.moved, passes) == (END, 100, 1)
    assert search([], 101, 0)[0].moved == 0


def test_one_huge_file_leaves_if_it_was_used_longest_ago_and_only_then() -> None:
    small = [File(media(number), NOW_MS - number, 10) for number in range(1, 100)]
    huge = File(media(0), 5, 10**12)
    assert search([*small, huge], 1, 0)[0].moved == 10**12
    recent = huge._replace(used_ms=NOW_MS)
    assert search([*small, recent], 100, 0)[0].moved == 100


def test_media_of_the_same_time_is_divided() -> None:
    files = [File(media(number), 1_700_000_000_000, 1000) for number in range(10_000)]
    found, passes = search(files, 4_000_000, 50_000)
    assert 4_000_000 <= found.moved <= 4_050_000
    assert passes == 3


def test_times_that_are_spread_need_one_pass() -> None:
    files = [File(media(number), NOW_MS - number * 60_000, 1000) for number in range(10_000)]
    found, passes = search(files, 4_000_000, 50_000)
    assert 4_000_000 <= found.moved <= 4_050_000
    assert passes == 1


FILES = st.lists(
    st.builds(
        File,
        st.integers(0, 30).map(media),
        st.one_of(
            st.sampled_from([0, 5, 1_700_000_000_000, 1_700_000_000_001, NOW_MS]),
            st.integers(1_600_000_000_000, NOW_MS),
            st.integers(1_700_000_000_000, 1_700_000_003_000),
        ),
        st.one_of(st.integers(0, 50), st.integers(0, 10**9)),
    ),
    max_size=60,
)


@settings(max_examples=500, deadline=None)
@given(files=FILES, share=st.floats(0, 1.2), tolerance=st.sampled_from([0, 10, 10**6]))
def test_as_a_sorted_list_says(files: list[File], share: float, tolerance: int) -> None:
    """Enough leaves, used longest ago, and no more than needed by more than the tolerance or by one media."""
    total = sum(file.size for file in files)
    wanted = int(total * share)
    with pytest.MonkeyPatch.context() as patch:
        # Narrow histograms need more passes, and take less time than 8 MiB for each example.
        patch.setattr(last_use, "_STEP_BITS", 6)
        found, dummy = search(files, wanted, tolerance)
    leaving = sorted((file for file in files if file.rank < found.cutoff), key=lambda file: file.rank)
    assert sum(file.size for file in leaving) == found.moved >= min(wanted, total)
    assert {file.rank for file in leaving} == {file.rank for file in files if file.rank < found.cutoff}
    if leaving and found.moved - wanted > tolerance:
        last = max(file.rank for file in leaving if file.size)
        assert sum(file.size for file in leaving if file.rank != last) < wanted
