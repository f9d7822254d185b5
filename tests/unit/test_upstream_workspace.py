# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Synapse's configuration supplies settings that are not given, and the state directory is private."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.state_directory import (
    make_state_dir,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import (
    ConfigurationError,
    LockedError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.config import SourceSettings
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import (
    DatabaseSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.source import resolve
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.workspace import (
    open_cache,
    open_workspace,
    write_database,
)

DATABASE = {"name": "psycopg2", "args": {"user": "synapse", "password": "secret", "cp_min": 5}}


def homeserver(directory: Path, **content: object) -> tuple[str, ...]:
    path = directory / "homeserver.yaml"
    path.write_text(yaml.safe_dump(content))
    return (str(path),)


def test_all_settings_from_synapse(tmp_path: Path) -> None:
    config = homeserver(tmp_path, media_store_path="/srv/media", database=DATABASE)
    source = resolve(SourceSettings(homeserver_config=config))
    assert source.media_path == "/srv/media"
    assert source.database == DatabaseSettings("psycopg2", {"user": "synapse", "password": "secret"})
    assert "secret" not in repr(source)


def test_given_settings_win(tmp_path: Path) -> None:
    config = homeserver(tmp_path, media_store_path="/srv/media", database=DATABASE)
    sqlite = {"name": "sqlite3", "args": {"database": "/srv/homeserver.db"}}
    source = resolve(SourceSettings("/srv/other", config, None, sqlite))
    assert source.media_path == "/srv/other"
    assert source.database == DatabaseSettings("sqlite3", {"database": "/srv/homeserver.db"})


def test_a_configuration_that_is_not_needed_is_not_read() -> None:
    source = resolve(SourceSettings("/srv/media", ("/nowhere/homeserver.yaml",)), with_database=False)
    assert (source.media_path, source.database) == ("/srv/media", None)


def test_relative_paths_need_the_working_directory(tmp_path: Path) -> None:
    config = homeserver(tmp_path, database=DATABASE)
    assert resolve(SourceSettings(None, config, "/var/lib/synapse")).media_path == "/var/lib/synapse/media_store"
    with pytest.raises(ConfigurationError, match=r"media_store_path .* is relative .*synapse_s3_media_path"):
        resolve(SourceSettings(homeserver_config=config))
    with pytest.raises(ConfigurationError, match="beginning with a slash"):
        resolve(SourceSettings("media_store", config))


def test_a_dry_run_leaves_the_state_directory_unchanged(tmp_path: Path) -> None:
    state = tmp_path / "state"
    make_state_dir(str(state), None)
    with open_cache(state) as cache:
        cache.connection.execute("CREATE TABLE media (known_deleted)")
        cache.connection.execute("INSERT INTO media VALUES (0)")
    before = {path.name: path.read_bytes() for path in state.iterdir()}
    with open_workspace(str(state), rehearse=True) as workspace:
        assert workspace.directory != state
        copy = workspace.directory
        write_database(workspace, DatabaseSettings("psycopg2", {"password": "secret"}))
        with open_cache(workspace.directory) as cache:
            assert cache.offered_count() == 1
            cache.connection.execute("UPDATE media SET known_deleted = 1")
    assert not copy.exists()
    assert {path.name: path.read_bytes() for path in state.iterdir()} == before


def test_a_dry_run_without_a_state_directory_creates_none(tmp_path: Path) -> None:
    with open_workspace(str(tmp_path / "state"), rehearse=True) as workspace:
        assert list(workspace.directory.iterdir()) == []
    assert not (tmp_path / "state").exists()


def test_a_dry_run_does_not_wait_for_a_run(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    make_state_dir(state, None)
    with open_workspace(state, rehearse=False), pytest.raises(LockedError), open_workspace(state, rehearse=True):
        pass


def test_database_yaml_has_the_scripts_form(tmp_path: Path) -> None:
    state = tmp_path / "state"
    make_state_dir(str(state), None)
    with open_workspace(str(state), rehearse=False) as workspace:
        write_database(workspace, DatabaseSettings("sqlite3", {"database": "/srv/homeserver.db"}))
        file = state / "database.yaml"
        assert yaml.safe_load(file.read_text()) == {"sqlite": {"database": "/srv/homeserver.db"}}
        write_database(workspace, DatabaseSettings("psycopg2", {"user": "synapse", "password": "ü: #secret"}))
        assert yaml.safe_load(file.read_text()) == {"postgres": {"user": "synapse", "password": "ü: #secret"}}
        assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in state.iterdir()) == ["database.yaml", "lock"]


def test_state_directory_is_made_private(tmp_path: Path) -> None:
    make_state_dir(str(tmp_path / "new/state"), None)
    assert (tmp_path / "new/state").stat().st_mode & 0o777 == 0o700
    make_state_dir(str(tmp_path / "new/state"), None)


def test_state_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"cannot be made .*synapse_s3_migrate_state_dir"):
        make_state_dir(str(tmp_path / "file/state"), None)


def test_state_directory_that_others_may_write_to(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o770)
    with pytest.raises(ConfigurationError, match=rf"chown -R .* {state} and chmod 0700"):
        open_workspace(str(state), rehearse=False).__enter__()
    assert list(state.iterdir()) == []


def test_synapse_without_local_media_storage(tmp_path: Path) -> None:
    config = homeserver(tmp_path, enable_local_media_storage=False, database=DATABASE)
    told = SourceSettings("/srv/media", config, None, DATABASE)
    assert resolve(told).keeps_local_media
    assert not resolve(told, read_always=True).keeps_local_media
    assert resolve(SourceSettings("/srv/media", (), None, DATABASE), read_always=True).keeps_local_media
