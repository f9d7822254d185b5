# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The times that stores write."""

from __future__ import annotations

import email.utils
from datetime import datetime, timezone

# Listings write times as 2026-01-31T12:00:00.000Z, always in UTC and with any number of decimals.
_LENGTH = len("2026-01-31T12:00:00")
_UTC = ("Z", "+00:00")


def seconds_of(text: str) -> float | None:
    """Seconds since 1970 of a time as listings or HTTP headers have it; None for anything else."""
    try:
        if text[10:11] == "T":
            moment = datetime.fromisoformat(text[:_LENGTH]) if text.endswith(_UTC) else None
        else:
            moment = email.utils.parsedate_to_datetime(text)
        return None if moment is None else moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
