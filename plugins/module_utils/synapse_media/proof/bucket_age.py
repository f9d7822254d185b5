# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long an object has been in the bucket, by the times that the store gives."""

from __future__ import annotations

import time

from ..s3.times import seconds_of
from .object_index import Found


def bucket_age(found: Found) -> float | None:
    """Seconds from the object's LastModified to the response that gave it; None if the store gave no usable time.

    Of the store's clock (the response's Date) and this host's the one that makes the object younger counts, so that no
    wrong clock makes it old. For a time in the future the age is negative.
    """
    modified = seconds_of(found.modified)
    if modified is None:
        return None
    here = time.time() - (time.monotonic() - found.asked_at)
    there = seconds_of(found.date)
    return (here if there is None else min(here, there)) - modified
