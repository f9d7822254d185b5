# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Adds remote media to a homeserver as if Synapse had fetched it.

There is no second homeserver in these tests, so nothing can be fetched over federation: the rows of remote_media_cache
and remote_media_cache_thumbnails and the files on disk are written here, in the form in which Synapse 1.163 writes them
after such a fetch. From then on Synapse serves them like any other remote media.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

from database import transaction
from pictures import png, thumbnails_of


def random_id(source: random.Random) -> str:
    return "".join(source.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", k=24))


class RemoteMediaCache:
    """The remote media of one homeserver: its rows and its files."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self._media_store = Path(facts["media_store_path"])
        self._user = str(facts["user"])
        self._group = str(facts["group"])
        self._facts = facts

    def add(self, origin: str, seed: str, width: int, height: int) -> dict[str, Any]:
        """Write one remote picture and its thumbnails; return the entry for the list of `media.py`."""
        source = random.Random(seed)
        media_id, filesystem_id = random_id(source), random_id(source)
        content = png(width, height, seed)
        sha256 = hashlib.sha256(content).hexdigest()
        split = (filesystem_id[:2], filesystem_id[2:4], filesystem_id[4:])
        now = int(time.time() * 1000)

        self._write(Path("remote_content", origin, *split), content)
        with transaction(self._facts) as execute:
            execute(
                "INSERT INTO remote_media_cache (media_origin, media_id, media_type, media_length, created_ts,"
                " upload_name, filesystem_id, last_access_ts, authenticated, sha256)"
                " VALUES (%s, %s, 'image/png', %s, %s, %s, %s, %s, true, %s)",
                (origin, media_id, len(content), now, f"{seed}.png", filesystem_id, now, sha256),
            )
            for thumbnail_width, thumbnail_height, method in thumbnails_of(width, height):
                thumbnail = png(thumbnail_width, thumbnail_height, f"{seed} {thumbnail_width}")
                name = f"{thumbnail_width}-{thumbnail_height}-image-png-{method}"
                self._write(Path("remote_thumbnail", origin, *split, name), thumbnail)
                execute(
                    "INSERT INTO remote_media_cache_thumbnails (media_origin, media_id, thumbnail_width,"
                    " thumbnail_height, thumbnail_method, thumbnail_type, thumbnail_length, filesystem_id)"
                    " VALUES (%s, %s, %s, %s, %s, 'image/png', %s, %s)",
                    (origin, media_id, thumbnail_width, thumbnail_height, method, len(thumbnail), filesystem_id),
                )
        return {"origin": origin, "media_id": media_id, "size": len(content), "sha256": sha256}

    def _write(self, path: Path, content: bytes) -> None:
        """Create the file and the directories it needs, owned as Synapse would own them."""
        directory = self._media_store
        for part in path.parent.parts:
            directory /= part
            if not directory.exists():
                directory.mkdir(mode=0o755)
                shutil.chown(directory, self._user, self._group)
        target = self._media_store / path
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as stream:
            stream.write(content)
        shutil.chown(target, self._user, self._group)
