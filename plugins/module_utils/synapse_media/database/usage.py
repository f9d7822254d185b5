# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose media takes how much, as the rows say: originals alone, because thumbnails have no uploader or type."""

from __future__ import annotations

import time
from typing import Any

from ..errors import MediaError
from ..settings.homeserver import DatabaseSettings
from .tables import MediaDatabase

_MOST = 20
_DAY_MS = 86_400_000
_AGES = ((1, "under 1 day"), (7, "1 to 7 days"), (30, "7 to 30 days"), (365, "30 to 365 days"))
_OLDEST = "over 365 days"

_MEDIA = """
    SELECT 'local' AS kind, '' AS origin, user_id AS uploader, media_type AS type, media_length AS length,
        COALESCE(last_access_ts, created_ts) AS used FROM local_media_repository WHERE url_cache IS NULL
    UNION ALL
    SELECT 'remote', media_origin, NULL, media_type, media_length, COALESCE(last_access_ts, created_ts)
        FROM remote_media_cache
"""


def usage_of(settings: DatabaseSettings, now: float | None = None) -> dict[str, list[dict[str, Any]]]:
    """Files and bytes by kind, age of the last use, origin, uploader and type; the largest 20 of each.

    Raises MediaError. `now` in seconds since 1970.
    """
    database = MediaDatabase(settings)
    try:
        database.open()
        return {
            name: [
                {"name": str(row[0]) if row[0] is not None else "unknown", "files": int(row[1]), "bytes": int(row[2])}
                for row in database.call(database.tables.ask, statement)
            ]
            for name, statement in _statements(time.time() if now is None else now).items()
        }
    except (TypeError, ValueError) as error:
        raise MediaError(f"The media rows of Synapse's database hold what is no number ({error}).") from error
    finally:
        database.close()


def _statements(now: float) -> dict[str, str]:
    moment = int(now * 1000)
    ages = " ".join(f"WHEN used > {moment - days * _DAY_MS} THEN '{name}'" for days, name in _AGES)
    expressions = {
        "kind": ("kind", ""),
        "last_use": (f"CASE WHEN used IS NULL THEN 'unknown' {ages} ELSE '{_OLDEST}' END", ""),
        "origin": ("origin", "WHERE kind = 'remote'"),
        "uploader": ("uploader", "WHERE kind = 'local'"),
        "type": ("type", ""),
    }
    return {
        name: f"SELECT {expression}, COUNT(*), COALESCE(SUM(length), 0) FROM ({_MEDIA}) AS media {where} "  # noqa: S608 - constants and numbers
        f"GROUP BY 1 ORDER BY 3 DESC, 2 DESC LIMIT {_MOST}"
        for name, (expression, where) in expressions.items()
    }
