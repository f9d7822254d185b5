# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counts the media that Synapse's database knows and the disk does not hold, thumbnails left out.

Run with the Python of the migrate job and its package on PYTHONPATH, and with the path of its configuration file.
Prints {"files": number, "bytes": their size} as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from synapse_media.disk.layout import LOCAL, REMOTE, Media, content_path
from synapse_media.settings.config import read_config
from synapse_media.settings.homeserver import DatabaseSettings
from synapse_media.settings.source import resolve

# Media without a length was announced and never uploaded.
LOCAL_MEDIA = "SELECT media_id, media_length FROM local_media_repository WHERE url_cache IS NULL AND media_length > 0"
REMOTE_MEDIA = "SELECT media_origin, filesystem_id, media_length FROM remote_media_cache WHERE media_length > 0"
ROWS_AT_ONCE = 5000


def connect(settings: DatabaseSettings) -> Any:
    if settings.name == "sqlite3":
        import sqlite3

        return sqlite3.connect(f"file:{settings.args['database']}?mode=ro", uri=True, timeout=30)
    import psycopg2

    connection = psycopg2.connect(**settings.args)
    connection.set_session(readonly=True)
    return connection


def rows(connection: Any, settings: DatabaseSettings, sql: str) -> Iterator[tuple[Any, ...]]:
    """Row by row, because a psycopg2 cursor without a name fetches the whole table into memory."""
    with closing(connection.cursor() if settings.name == "sqlite3" else connection.cursor("media")) as cursor:
        cursor.execute(sql)
        while batch := cursor.fetchmany(ROWS_AT_ONCE):
            yield from batch


def media(connection: Any, settings: DatabaseSettings) -> Iterator[tuple[Media, int]]:
    for media_id, length in rows(connection, settings, LOCAL_MEDIA):
        yield Media(LOCAL, "", media_id), length
    for origin, filesystem_id, length in rows(connection, settings, REMOTE_MEDIA):
        yield Media(REMOTE, origin, filesystem_id), length


def main() -> None:
    source = resolve(read_config(sys.argv[1], os.environ).source)
    count = {"files": 0, "bytes": 0}
    with closing(connect(source.database)) as connection:
        for each, length in media(connection, source.database):
            if not os.path.lexists(f"{source.media_path}/{content_path(each)}"):
                count["files"] += 1
                count["bytes"] += length
    print(json.dumps(count))


if __name__ == "__main__":
    main()
