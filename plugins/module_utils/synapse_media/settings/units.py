# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Durations and sizes as an operator writes them, and as they are shown."""

from __future__ import annotations

import datetime
import re

from ..errors import ConfigurationError

# Upstream's m is a month: there is no suffix for minutes.
_SECONDS = {"s": 1, "h": 3600, "d": 86400, "w": 7 * 86400, "m": 30 * 86400, "y": 365 * 86400}
_DURATION = re.compile(r"([0-9]+)([shdwmy])", re.ASCII)


def parse_duration(text: str, setting: str = "older_than") -> datetime.timedelta:
    """``12h`` as a timedelta; the suffixes are s, h, d, w, m (30 days) and y (365 days)."""
    match = _DURATION.fullmatch(str(text).strip())
    if not match:
        raise ConfigurationError(
            f"{setting} is {text!r}, which is no duration. Write a whole number and one of s (seconds), h (hours), "
            "d (days), w (weeks), m (months of 30 days) or y (years of 365 days), such as 12h or 1m."
        )
    number, suffix = match.groups()
    try:
        duration = datetime.timedelta(seconds=int(number) * _SECONDS[suffix])
        # A duration that reaches behind the year 1 is only found out when it is taken from today.
        datetime.datetime.now(tz=datetime.timezone.utc) - duration
    except (OverflowError, ValueError) as error:
        raise ConfigurationError(
            f"{setting} is {text!r}, which is longer than the calendar. Choose a shorter one."
        ) from error
    return duration


def in_seconds(duration: datetime.timedelta) -> str:
    """The same duration in the one unit that every release of the script knows."""
    return f"{int(duration.total_seconds())}s"


def as_written(duration: datetime.timedelta) -> str:
    """The same duration for people, such as 7d."""
    seconds = int(duration.total_seconds())
    for suffix in ("d", "h"):
        if seconds % _SECONDS[suffix] == 0:
            return f"{seconds // _SECONDS[suffix]}{suffix}"
    return f"{seconds}s"


_FACTORS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_KIB = 1024
_SIZE = re.compile(r"([0-9]+)([KMGT]?)", re.ASCII)


def parse_size(value: object, setting: str) -> int:
    """``10M`` in bytes; the suffixes K, M, G and T are powers of 1024. Raises ConfigurationError; zero is no size."""
    match = None if isinstance(value, bool) else _SIZE.fullmatch(str(value).strip())
    size = int(match.group(1)) * _FACTORS[match.group(2)] if match else 0
    if not size:
        raise ConfigurationError(
            f"{setting} is {value!r}, which is no size. Write a whole number above zero of bytes, or one with K, M, G "
            "or T behind it, such as 10M."
        )
    return size


def in_words(count: float) -> str:
    """For people; reports carry exact bytes."""
    value = count
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < _KIB:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= _KIB
    return f"{value:.1f} TiB"
