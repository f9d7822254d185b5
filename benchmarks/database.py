# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""PostgreSQL with Synapse's media tables, and a count of the rows it sends."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import history
import psycopg2

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "integration"))

from homeserver_database import Cluster, PostgresqlDatabase, running_cluster

LOCAL_COLUMNS = ("media_id", "media_type", "media_length", "created_ts", "last_access_ts", "sha256")
REMOTE_COLUMNS = (
    "media_origin", "media_id", "media_type", "created_ts", "media_length", "filesystem_id", "last_access_ts", "sha256",
)  # fmt: skip


class Database:
    def __init__(self, cluster: Cluster) -> None:
        self._arguments = cluster.arguments("synapse")
        self._database = PostgresqlDatabase(cluster, "synapse")

    def section(self) -> dict[str, Any]:
        """The `database` section of homeserver.yaml."""
        return self._database.section()

    @property
    def arguments(self) -> dict[str, Any]:
        """The file database.yaml of upstream's script."""
        return self._arguments

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return self._database.execute(sql, values)

    def add(self, directory: Path) -> None:
        """Add the rows of a tree."""
        for table, name, columns in (
            ("local_media_repository", "local.tsv", LOCAL_COLUMNS),
            ("remote_media_cache", "remote.tsv", REMOTE_COLUMNS),
        ):
            with (directory / name).open() as rows:
                self._copy(rows, table, columns)
        self.settle()

    def add_history(self, count: int) -> None:
        """Add a row for each media of the server's history, last used half a year ago."""
        used = int((time.time() - 180 * 86400) * 1000)
        local, remote = io.StringIO(), io.StringIO()
        for origin, name in history.media(count):
            if origin:
                remote.write(f"{origin}\t{name}\timage/png\t{used}\t{history.SIZE}\t{name}\t{used}\t\\N\n")
            else:
                local.write(f"{name}\timage/png\t{history.SIZE}\t{used}\t{used}\t\\N\n")
        for rows, table, columns in (
            (local, "local_media_repository", LOCAL_COLUMNS),
            (remote, "remote_media_cache", REMOTE_COLUMNS),
        ):
            rows.seek(0)
            self._copy(rows, table, columns)
        self.settle()

    def add_thumbnails(self, count: int) -> None:
        """Add Synapse's tables of thumbnails, and to them a row for each media of the history."""
        # As Synapse's schema has them.
        size = "thumbnail_width integer, thumbnail_height integer, thumbnail_type text, thumbnail_method text"
        for table, definition in (
            ("local_media_repository_thumbnails", f"media_id text, {size}, thumbnail_length integer"),
            (
                "remote_media_cache_thumbnails",
                f"media_origin text, media_id text, {size}, thumbnail_length integer, filesystem_id text",
            ),
        ):
            self.execute(f"CREATE TABLE {table} ({definition})")
        width, height, main, sub, method = history.THUMBNAIL.split("-")
        columns = ("media_id", "thumbnail_width", "thumbnail_height", "thumbnail_type", "thumbnail_method")
        local, remote = io.StringIO(), io.StringIO()
        for origin, name in history.media(count):
            line = f"{name}\t{width}\t{height}\t{main}/{sub}\t{method}\n"
            (remote if origin else local).write(f"{origin}\t{line}" if origin else line)
        for rows, table, names in (
            (local, "local_media_repository_thumbnails", columns),
            (remote, "remote_media_cache_thumbnails", ("media_origin", *columns)),
        ):
            rows.seek(0)
            self._copy(rows, table, names)
            self.execute(f"VACUUM ANALYZE {table}")

    def settle(self) -> None:
        """Vacuum and analyze, as autovacuum does in a table with few changes."""
        self.execute("VACUUM ANALYZE local_media_repository")
        self.execute("VACUUM ANALYZE remote_media_cache")

    def reset_sent(self) -> None:
        self.execute("SELECT pg_stat_statements_reset()")

    def sent(self) -> int:
        """Return the number of rows sent to clients since reset_sent(), by cursors or at once."""
        found = self.execute(
            "SELECT COALESCE(sum(rows), 0)::bigint FROM pg_stat_statements WHERE query NOT ILIKE '%pg_stat_statements%'"
        )
        return int(found[0][0])

    def _copy(self, rows: Any, table: str, columns: tuple[str, ...]) -> None:
        with closing(psycopg2.connect(**self._arguments)) as connection, connection.cursor() as cursor:
            cursor.copy_from(rows, table, columns=columns)
            connection.commit()


@contextmanager
def running_database() -> Iterator[Database]:
    with running_cluster() as cluster:
        # Counts the rows sent, by statement; active from the next start on.
        cluster.execute("postgres", "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        data, log = str(cluster.directory / "data"), str(cluster.directory / "log")
        cluster._run("pg_ctl", "-D", data, "-l", log, "-w", "restart")
        try:
            database = Database(cluster)
            database.execute("CREATE EXTENSION pg_stat_statements")
            yield database
        except BaseException:
            # The cluster is stopped only if all went well, and removed in any case.
            cluster.stop()
            raise
