# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many bytes of media were last used before which time, in the same memory for any number of files."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from ..disk.layout import Media, checksum_of_name

# Media that was last used in the same millisecond is divided into so many parts, for example after an import.
_PART_BITS = 12
_CHECKSUM_BITS = 32
# Steps of a histogram: 8 MiB of memory. Of the years since 1970 a step is half an hour.
_STEP_BITS = 20


def rank_of(media: Media, last_used_ms: int) -> int:
    """The place of a media in the order of last use, the same in every run and for all files of the media.

    What was used earlier has a lower rank. Media of the same time is ordered by its name's checksum.
    """
    return first_rank(last_used_ms) | (checksum_of_name(media) >> (_CHECKSUM_BITS - _PART_BITS))


def first_rank(last_used_ms: int) -> int:
    """The lowest rank of media that was last used at this time (milliseconds since 1970)."""
    return max(last_used_ms, 0) << _PART_BITS


class Step(NamedTuple):
    """The ranks from `low` up to but without `high`: their bytes, and those of all lower ranks."""

    low: int
    high: int
    bytes: int
    bytes_before: int


class Histogram:
    """The bytes of the ranks from `low` up to but without `high`, in steps of equal width."""

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self._high = high
        self._shift = max(0, (high - low - 1).bit_length() - _STEP_BITS)
        self._steps = array("q", bytes(8 << _STEP_BITS))

    def add(self, rank: int, size: int) -> None:
        """Ranks outside of the histogram are not counted."""
        if self._low <= rank < self._high:
            self._steps[(rank - self._low) >> self._shift] += size

    def step_of(self, size: int) -> Step:
        """The step in which the bytes of the lowest ranks reach `size`; an empty one at the end if all are fewer."""
        before = 0
        for position, found in enumerate(self._steps):
            if found and before + found >= size:
                low = self._low + (position << self._shift)
                return Step(low, min(low + (1 << self._shift), self._high), found, before)
            before += found
        return Step(self._high, self._high, 0, before)


class CutoffSearch:
    """Finds the rank below which media has to be moved, so that enough bytes leave the disk and hardly more.

    After each pass over all media in which add() was called for each, narrow() decides whether another pass is needed,
    in which the steps are narrower. Three passes at most tell each rank from the next.
    """

    def __init__(self, end: int, tolerance: int) -> None:
        """Media of the rank `end` or a higher one is not moved. Up to `tolerance` bytes more than needed may leave."""
        self._histogram: Histogram | None = Histogram(0, end)
        self._tolerance = tolerance
        self._moved_before = 0
        self._wanted = 0
        #: Bytes of the ranks below `cutoff`.
        self.moved = 0
        self.cutoff = 0

    @property
    def finished(self) -> bool:
        return self._histogram is None

    def add(self, rank: int, size: int) -> None:
        if self._histogram is not None:
            self._histogram.add(rank, size)

    def want(self, size: int) -> None:
        """Sets how many bytes have to leave: after the first pass, which alone sees how much there is."""
        self._wanted = size

    def narrow(self) -> None:
        if self._histogram is None:
            return
        if self._wanted <= 0:
            self._histogram = None
            return
        step = self._histogram.step_of(self._wanted - self._moved_before)
        self.cutoff = step.high
        self.moved = self._moved_before + step.bytes_before + step.bytes
        if step.high - step.low <= 1 or self.moved - self._wanted <= self._tolerance:
            self._histogram = None
        else:
            self._moved_before += step.bytes_before
            self._histogram = Histogram(step.low, step.high)
