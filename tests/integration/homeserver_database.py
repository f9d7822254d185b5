# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Synapse's media tables in either kind of database, with Synapse's own columns."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg2

# The columns of Synapse 1.163 (schema 72 and its deltas); test_synapse_schema.py compares them with the real ones.
TABLES = """
CREATE TABLE local_media_repository (
    media_id text, media_type text, media_length integer, created_ts bigint, upload_name text, user_id text,
    quarantined_by text, url_cache text, last_access_ts bigint, safe_from_quarantine boolean DEFAULT false NOT NULL,
    authenticated boolean DEFAULT false NOT NULL, sha256 text
);
CREATE UNIQUE INDEX local_media_repository_media_id_key ON local_media_repository (media_id);
CREATE TABLE remote_media_cache (
    media_origin text, media_id text, media_type text, created_ts bigint, upload_name text, media_length integer,
    filesystem_id text, last_access_ts bigint, quarantined_by text, authenticated boolean DEFAULT false NOT NULL,
    sha256 text
);
CREATE UNIQUE INDEX remote_media_cache_media_origin_media_id_key ON remote_media_cache (media_origin, media_id);
"""


class HomeserverDatabase(Protocol):
    def section(self) -> dict[str, Any]:
        """The `database` section of homeserver.yaml."""

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Run one statement; %s stands for values."""

    def add_local(self, media_id: str, size: int, last_used_ms: int) -> None:
        """Insert the row of a local media."""

    def add_remote(self, origin: str, media_id: str, filesystem_id: str, size: int, last_used_ms: int) -> None:
        """Insert the row of a media of another server."""


class _Rows:
    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def add_local(self, media_id: str, size: int, last_used_ms: int) -> None:
        self.execute(
            "INSERT INTO local_media_repository (media_id, media_type, media_length, created_ts, last_access_ts)"
            " VALUES (%s, 'image/png', %s, %s, NULL)",
            (media_id, size, last_used_ms),
        )

    def add_remote(self, origin: str, media_id: str, filesystem_id: str, size: int, last_used_ms: int) -> None:
        self.execute(
            "INSERT INTO remote_media_cache"
            " (media_origin, media_id, media_type, created_ts, media_length, filesystem_id, last_access_ts)"
            " VALUES (%s, %s, 'image/png', %s, %s, %s, %s)",
            (origin, media_id, last_used_ms - 1000, size, filesystem_id, last_used_ms),
        )


class SqliteDatabase(_Rows):
    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(sqlite3.connect(str(path))) as connection:
            connection.executescript(TABLES)

    def section(self) -> dict[str, Any]:
        return {"name": "sqlite3", "args": {"database": str(self.path)}}

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(str(self.path))) as connection, connection:  # pylint: disable=confusing-with-statement
            return connection.execute(sql.replace("%s", "?"), values).fetchall()


class PostgresqlDatabase(_Rows):
    """One database of a cluster; its section has cp_* keys, as in every homeserver.yaml."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self.name = name
        cluster.execute("postgres", f"CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
        cluster.execute(name, TABLES)

    def section(self) -> dict[str, Any]:
        args = self._cluster.arguments(self.name)
        return {"name": "psycopg2", "txn_limit": 10000, "args": {**args, "cp_min": 5, "cp_max": 10}}

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return self._cluster.execute(self.name, sql, values)


class Cluster:
    """A private PostgreSQL server on loopback that requires a password."""

    USER = "synapse_user"
    PASSWORD = "Geheim-4711-pg"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = _free_port()
        self._binaries = _binaries()
        self._as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []

    def start(self) -> None:
        password = self.directory / "password"
        password.write_text(self.PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
            shutil.chown(password, "postgres", "postgres")
        initdb = ["initdb", "--no-sync", "--auth=scram-sha-256", f"--username={self.USER}", f"--pwfile={password}"]
        self._run(*initdb, "--encoding=UTF8", "--locale=C", str(self.directory / "data"))
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.directory,
            "fsync": "off",
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        log = str(self.directory / "log")
        self._run("pg_ctl", "-D", str(self.directory / "data"), "-l", log, "-w", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.directory / "data"), "-m", "immediate", "-w", "stop")

    def arguments(self, database: str) -> dict[str, Any]:
        return {
            "user": self.USER,
            "password": self.PASSWORD,
            "dbname": database,
            "host": "127.0.0.1",
            "port": self.port,
        }

    def execute(self, database: str, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(**self.arguments(database))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return cursor.fetchall() if cursor.description else []

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            [*self._as_postgres, str(self._binaries / command[0]), *command[1:]],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            # Not a pipe: the server keeps it open while it runs.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        log = self.directory / "log"
        assert done.returncode == 0, f"{command[0]} failed\n{log.read_text() if log.exists() else ''}"


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    directory = Path(tempfile.mkdtemp(prefix="postgresql-"))
    directory.chmod(0o755)
    cluster = Cluster(directory)
    try:
        cluster.start()
        yield cluster
        cluster.stop()
    finally:
        shutil.rmtree(directory)


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert found, "PostgreSQL's server is not installed (package postgresql)"
    return found[-1].parent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
