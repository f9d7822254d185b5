# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys of the trash: a folder below the prefix, in it one for each run, in it the paths that the objects had."""

from __future__ import annotations

import re
import secrets
import time
from datetime import datetime, timezone
from typing import NamedTuple

from ..disk.layout import TRASH_FOLDER, is_media_path

_STAMP = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z-[0-9a-f]{8}")
# An object of this name is put and deleted to learn what the store and the keys can do.
TRIAL_PATH = f"{TRASH_FOLDER}trial"


class Trashed(NamedTuple):
    """What a path in the trash says: when its run began, in seconds since 1970, and where the object was."""

    seconds: float
    path: str


def new_stamp(now: float) -> str:
    """A name for a run that began then, such as 20260131T120000Z-0a1b2c3d; no two runs have the same."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}Z-{secrets.token_hex(4)}"


def trash_path(stamp: str, path: str) -> str:
    """Where the object of this path goes in the run of this name."""
    return f"{TRASH_FOLDER}{stamp}/{path}"


def trashed(path: str) -> Trashed | None:
    """What was put aside at this path; None for anything else, which is not for us to touch."""
    if not path.startswith(TRASH_FOLDER):
        return None
    stamp, slash, original = path[len(TRASH_FOLDER) :].partition("/")
    match = _STAMP.fullmatch(stamp)
    if not slash or match is None or not is_media_path(original):
        return None
    try:
        # Not by strptime, which imports a module, late: the user of the run may not be able to read its file.
        year, month, day, hour, minute, second = map(int, match.groups())
        began = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        return None
    return Trashed(began.timestamp(), original)
