# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes media look unused for days: in the database, and by the times of its files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from database import transaction

AGE_LOCAL = (
    "UPDATE local_media_repository SET created_ts = created_ts - %(ms)s, last_access_ts = last_access_ts - %(ms)s"
    " WHERE media_id = %(media_id)s RETURNING media_id"
)
AGE_REMOTE = (
    "UPDATE remote_media_cache SET created_ts = created_ts - %(ms)s, last_access_ts = last_access_ts - %(ms)s"
    " WHERE media_origin = %(origin)s AND media_id = %(media_id)s RETURNING filesystem_id"
)


def _places(media: dict[str, Any], identifier: str) -> tuple[Path, Path]:
    """Return the file and the directory of its thumbnails, below the media store."""
    split = (identifier[:2], identifier[2:4], identifier[4:])
    if media["local"]:
        return Path("local_content", *split), Path("local_thumbnails", *split)
    return Path("remote_content", media["origin"], *split), Path("remote_thumbnail", media["origin"], *split)


def _age_file(path: Path, seconds: float) -> None:
    status = path.stat()
    os.utime(path, (status.st_atime - seconds, status.st_mtime - seconds))


def _age_all(facts: dict[str, Any], listed: Iterable[dict[str, Any]], days: float) -> None:
    store = Path(facts["media_store_path"])
    with transaction(facts) as execute:
        for media in listed:
            row = execute(AGE_LOCAL if media["local"] else AGE_REMOTE, {"ms": int(days * 86_400_000), **media})
            if row is None:
                raise LookupError(f"the database has no {media['mxc']}")
            content, thumbnails = _places(media, row[0])
            # Files that were already moved to the bucket have no times to set.
            for file in (store / content, *(store / thumbnails).glob("*")):
                if file.exists():
                    _age_file(file, days * 86_400)


def age(facts: dict[str, Any], listed: Iterable[dict[str, Any]], days: float) -> None:
    # Synapse keeps the last accesses of a minute in memory, and would overwrite the times that are set here.
    subprocess.run(["systemctl", "stop", facts["service"]], check=True)
    try:
        _age_all(facts, listed, days)
    finally:
        subprocess.run(["systemctl", "start", facts["service"]], check=True)
