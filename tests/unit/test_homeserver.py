# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Synapse's configuration is read as Synapse reads it; errors name the file and quote nothing from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import (
    config_files,
    database_settings,
    media_store_path,
    read_merged,
)


def write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_a_directory_stands_for_its_yaml_files_in_sorted_order(tmp_path: Path) -> None:
    write(
        tmp_path, {"d/b.yaml": "", "d/a.yaml": "", "d/.hidden.yaml": "", "d/c.yml": "", "d/d.yaml~": "", "x.yaml": ""}
    )
    (tmp_path / "d/folder.yaml").mkdir()
    (tmp_path / "d/link.yaml").symlink_to("../x.yaml")
    (tmp_path / "d/broken.yaml").symlink_to("nowhere")
    found = config_files([f"{tmp_path}/x.yaml", f"{tmp_path}/d", f"{tmp_path}/x.yaml"])
    assert [path.removeprefix(f"{tmp_path}/") for path in found] == [
        "x.yaml",
        "d/.hidden.yaml",
        "d/a.yaml",
        "d/b.yaml",
        "d/link.yaml",
        "x.yaml",
    ]


def test_later_files_replace_whole_settings_of_earlier_ones(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "homeserver.yaml": "server_name: a\ndatabase: {name: sqlite3, args: {database: x}}\nkeep: 1\n",
            "d/1.yaml": "server_name: b\n",
            "d/2.yaml": "database: {name: psycopg2}\n",
            "d/3.yaml": "",
            "d/4.yaml": "- a list\n",
        },
    )
    merged = read_merged([f"{tmp_path}/homeserver.yaml", f"{tmp_path}/d"])
    assert merged == {"server_name": "b", "database": {"name": "psycopg2"}, "keep": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1\n", "line 2, column 1 is not valid YAML"),
        ("a: 1\nb: *s3cret\n", "line 2, column 4 is not valid YAML"),
        ('a: "s3cret\n', "is not valid YAML"),
        ("a: !s3cret 1\n", "is not valid YAML"),
        ("a: 2026-13-45\n", "is not valid YAML"),
        ("a: \x07\n", "is not valid YAML"),
        ("a: 1\n---\nb: 1\n", "is not valid YAML"),
        ("[" * 3000, "is not valid YAML"),
    ],
)
def test_broken_yaml_is_named_by_file_and_line_and_never_quoted(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path, {"homeserver.yaml": text})
    with pytest.raises(ConfigurationError) as refusal:
        read_merged([f"{tmp_path}/homeserver.yaml"])
    assert words in str(refusal.value)
    assert str(refusal.value).startswith(f"The configuration file {tmp_path}/homeserver.yaml")
    assert "s3cret" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


def test_a_missing_file_and_an_empty_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none.yaml does not exist.*synapse_s3_synapse_config_paths"):
        read_merged([f"{tmp_path}/none.yaml"])
    with pytest.raises(ConfigurationError, match=r"No configuration file.*synapse_s3_synapse_config_paths"):
        read_merged([str(tmp_path)])


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        ({}, "/srv/synapse/media_store"),
        ({"media_store_path": "/mnt/media/"}, "/mnt/media"),
        ({"media_store_path": "./media"}, "/srv/synapse/media"),
        ({"media_store_path": "../media"}, "/srv/media"),
    ],
)
def test_a_relative_media_store_is_below_the_working_directory(setting: dict[str, str], path: str) -> None:
    assert media_store_path(setting, "/srv/synapse") == path


@pytest.mark.parametrize("value", [None, "", 5, ["/a"]])
def test_a_media_store_that_is_not_a_path_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="synapse_s3_media_path"):
        media_store_path({"media_store_path": value}, "/srv")


def test_the_database_settings_leave_out_synapses_connection_pool() -> None:
    section = {"name": "psycopg2", "txn_limit": 1, "args": {"user": "u", "password": "p", "cp_min": 5, "cp_max": 9}}
    settings = database_settings({"database": section})
    assert (settings.name, settings.args) == ("psycopg2", {"user": "u", "password": "p"})
    assert "'p'" not in repr(settings)
    assert section["args"]["cp_min"] == 5  # type: ignore[index]


@pytest.mark.parametrize(
    ("config", "args"),
    [
        ({"database": {"name": "sqlite3", "args": {"database": "/srv/h.db", "check_same_thread": False}}}, "/srv/h.db"),
        ({"database": {"args": {"database": "h.db"}}}, "/var/lib/synapse/h.db"),
        ({"database_path": "/srv/h.db"}, "/srv/h.db"),
    ],
)
def test_the_path_of_an_sqlite_database_is_absolute(config: dict[str, Any], args: str) -> None:
    settings = database_settings(config, "/var/lib/synapse")
    assert (settings.name, settings.args) == ("sqlite3", {"database": args})


def test_one_entry_of_databases_is_used_and_several_are_refused() -> None:
    one = {"name": "psycopg2", "data_stores": ["main", "state"], "args": {"dbname": "synapse"}}
    assert database_settings({"databases": {"master": one}}).args == {"dbname": "synapse"}
    with pytest.raises(ConfigurationError, match=r"does not name exactly one database.*synapse_s3_database"):
        database_settings({"databases": {"master": one, "state": one}})
    with pytest.raises(ConfigurationError, match="both database and databases"):
        database_settings({"databases": {"master": one}, "database": one})


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "has no database section"),
        ({"database": "text"}, "has no database section"),
        ({"database": {"name": "mysql"}}, "neither psycopg2 nor sqlite3"),
        ({"database": {"name": "psycopg2", "args": ["a"]}}, "database.args"),
        ({"database": {"name": "sqlite3", "args": {"database": ":memory:"}}}, "is not the path of an SQLite file"),
        ({"database": {"name": "sqlite3", "args": {}}}, "is not the path of an SQLite file"),
        ({"database": {"name": "sqlite3", "args": {"database": "h.db"}}}, "relative to an unknown directory"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as refusal:
        database_settings(config)
    assert "synapse_s3_" in str(refusal.value)
