# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory in which the script works, with its cache.db: owned by the user it runs as, copied for a dry run.

cache.db has the rows that the script will upload, and those that it marked as deleted.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..disk.layout import Media
from ..disk.lock import LOCK_NAME, RunLock
from ..disk.state_directory import check_ours, write_whole
from ..errors import ConfigurationError, LockedError
from ..settings.homeserver import DatabaseSettings
from ..settings.store import StoreSettings, aws_config_text
from ..settings.yaml_loader import NO_YAML

try:
    import yaml

    HAS_YAML = True
except ImportError:
    HAS_YAML = False

DATABASE_NAME = "database.yaml"
AWS_CONFIG_NAME = "aws-config"
PLAN_NAME = "plan.db"
STORE_ID_NAME = "media-store-id"
CACHE_NAME = "cache.db"
_LOCK_TIMEOUT = 30.0


@dataclass(frozen=True)
class Workspace:
    """Where the script runs: the state directory itself, or a temporary copy for a dry run."""

    directory: Path
    state_dir: Path
    rehearsal: bool
    lock_descriptor: int | None

    @property
    def plan_path(self) -> Path:
        return self.directory / PLAN_NAME

    @property
    def aws_config_path(self) -> Path:
        return self.directory / AWS_CONFIG_NAME


@contextmanager
def open_workspace(state_dir: str, *, rehearse: bool) -> Iterator[Workspace]:
    """One run at a time; a dry run does not wait either, and writes only to its own copy."""
    directory = Path(state_dir)
    if not rehearse or directory.exists():
        check_ours(directory, (CACHE_NAME, f"{CACHE_NAME}-journal", DATABASE_NAME, LOCK_NAME))
    with RunLock(f"{directory}/{LOCK_NAME}", create=not rehearse) as lock:
        if not rehearse:
            yield Workspace(directory, directory, False, lock.descriptor)
            return
        with tempfile.TemporaryDirectory(prefix="synapse-s3-rehearsal-") as copy:
            copy_cache(directory, Path(copy))
            yield Workspace(Path(copy), directory, True, lock.descriptor)


def write_database(workspace: Workspace, settings: DatabaseSettings) -> None:
    """Write it in the script's own form. The script prefers a database.yaml in its directory, so remove an old one."""
    kind = "sqlite" if settings.name == "sqlite3" else "postgres"
    write_whole(workspace.directory / DATABASE_NAME, _as_yaml({kind: settings.args}))


def write_aws_config(workspace: Workspace, settings: StoreSettings) -> None:
    write_whole(workspace.aws_config_path, aws_config_text(settings))


def _as_yaml(content: dict[str, Any]) -> str:
    if not HAS_YAML:
        raise ConfigurationError(NO_YAML)
    text: str = yaml.safe_dump(content, default_flow_style=False, allow_unicode=True)
    return text


class Snapshot(NamedTuple):
    """Enough of the table's state to tell afterwards what a step changed."""

    last_row: int
    known_deleted: int


class Cache:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def has_rows(self) -> bool:
        """Also False before the script has created its table."""
        (tables,) = self.connection.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'media'").fetchone()
        return bool(tables)

    def offered_count(self) -> int:
        if not self.has_rows():
            return 0
        (count,) = self.connection.execute("SELECT COUNT(*) FROM media WHERE NOT known_deleted").fetchone()
        return int(count)

    def offered(self) -> Iterator[Media]:
        """Return the media of the rows that the script would process, in no particular order."""
        if not self.has_rows():
            return
        for kind, origin, filesystem_id in self.connection.execute(
            "SELECT type, origin, filesystem_id FROM media WHERE NOT known_deleted"
        ):
            yield Media(kind, origin, filesystem_id)

    def snapshot(self) -> Snapshot:
        if not self.has_rows():
            return Snapshot(0, 0)
        row = self.connection.execute("SELECT COALESCE(MAX(rowid), 0), COALESCE(SUM(known_deleted), 0) FROM media")
        return Snapshot(*row.fetchone())

    def count_since(self, snapshot: Snapshot) -> int:
        (count,) = self.connection.execute(
            "SELECT COUNT(*) FROM media WHERE rowid > ?", (snapshot.last_row,)
        ).fetchone()
        return int(count)

    def added_since(self, snapshot: Snapshot, limit: int) -> list[Media]:
        rows = self.connection.execute(
            "SELECT type, origin, filesystem_id FROM media WHERE rowid > ? ORDER BY rowid LIMIT ?",
            (snapshot.last_row, limit),
        )
        return [Media(*row) for row in rows]


@contextmanager
def open_cache(directory: Path) -> Iterator[Cache]:
    """Commits if the block ends without an exception. A missing file is created, as the script would do."""
    path = directory / CACHE_NAME
    try:
        with closing(_connect(path)) as connection, connection:  # pylint: disable=confusing-with-statement
            yield Cache(connection)
    except sqlite3.DatabaseError as error:
        raise _translated(path, error) from error


def copy_cache(source: Path, target: Path) -> None:
    """Make a consistent copy, also while the original is in use."""
    path = source / CACHE_NAME
    if not path.exists():
        return
    try:
        # Not mode=ro: after a killed run reading has to roll the journal back first.
        with closing(_connect(path)) as original, closing(_connect(target / CACHE_NAME)) as copy:
            original.backup(copy)
    except sqlite3.DatabaseError as error:
        raise _translated(path, error) from error


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(str(path), timeout=_LOCK_TIMEOUT)


def _translated(path: Path, error: sqlite3.DatabaseError) -> Exception:
    if "locked" in str(error):
        return LockedError(f"Another program has {path} open and is writing to it. Wait until it has ended.")
    if isinstance(error, sqlite3.OperationalError):
        return ConfigurationError(
            f"The state file {path} cannot be used ({error}). Give it and its directory to the user this runs as."
        )
    return ConfigurationError(
        f"The state file {path} is damaged ({error}). Move it away: update-db makes a new one from Synapse's database."
    )
