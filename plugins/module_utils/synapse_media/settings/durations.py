# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Durations as upstream's script writes them, so that one value means the same to every part."""

from __future__ import annotations

import datetime
import re

from ..errors import ConfigurationError

# Upstream's m is a month: there is no suffix for minutes.
_SECONDS = {"s": 1, "h": 3600, "d": 86400, "w": 7 * 86400, "m": 30 * 86400, "y": 365 * 86400}
_FORM = re.compile(r"([0-9]+)([shdwmy])", re.ASCII)


def parse_duration(text: str, setting: str = "older_than") -> datetime.timedelta:
    """``12h`` as a timedelta; the suffixes are s, h, d, w, m (30 days) and y (365 days)."""
    match = _FORM.fullmatch(str(text).strip())
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
