# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Synapse's configuration as Synapse itself reads it: expanded, merged, and what of it concerns media."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os.path import normpath
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from .yaml_loader import AliasError, aliases_refused, load

YAML_IMPORT_ERROR: str | None = None
try:
    import yaml
except ImportError:
    YAML_IMPORT_ERROR = traceback.format_exc()

DEFAULT_MEDIA_STORE = "media_store"
# Names Synapse gives to its own connection pool; no database driver knows them.
SQLITE_POOL_ARGUMENT = "check_same_thread"


@dataclass(frozen=True)
class DatabaseSettings:
    """The database that holds the media tables; `args` are the driver's own and hold the password."""

    name: str
    args: dict[str, Any] = field(repr=False)


def config_files(paths: Sequence[str]) -> list[str]:
    """The files behind Synapse's -c options, in the order in which Synapse merges them."""
    files: list[str] = []
    for path in paths:
        directory = Path(path)
        if not directory.is_dir():
            files.append(path)
            continue
        try:
            # Files that are hidden count too: Synapse looks at the ending alone.
            entries = [str(entry) for entry in directory.iterdir() if entry.is_file() and entry.name.endswith(".yaml")]
        except OSError as error:
            raise ConfigurationError(
                f"The configuration directory {path} cannot be read ({error.strerror}). "
                "Run this as root or as the user Synapse runs as, or correct synapse_s3_synapse_config_paths."
            ) from error
        files.extend(sorted(entries))
    return files


def read_text(path: str) -> str:
    """The file's text with its line ends as they are, as UTF-8 like Synapse reads it."""
    try:
        return Path(path).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"The configuration file {path} is not UTF-8 (byte {error.start}). Save it as UTF-8, as Synapse needs it."
        ) from error
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"The configuration file {path} does not exist. "
            "Correct synapse_s3_synapse_config_paths, or the -c options of Synapse's service."
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"The configuration file {path} cannot be read ({error.strerror}). "
            "Run this as root or as the user Synapse runs as, or correct synapse_s3_synapse_config_paths."
        ) from error


def parse(text: str, path: str) -> Any:
    """The text as YAML. The error for broken YAML names the place and never quotes the file: it holds secrets."""
    if YAML_IMPORT_ERROR is not None:
        raise ConfigurationError(
            "PyYAML is not installed in this Python, so Synapse's configuration cannot be read. "
            "Run this with Synapse's own Python or install PyYAML."
        )
    try:
        return load(text)
    except AliasError:
        raise ConfigurationError(aliases_refused(f"The configuration file {path}")) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigurationError(broken_yaml(path, error)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # A value that only looks like a date or a number ends in a plain ValueError.
        raise ConfigurationError(
            f"The configuration file {path} is not valid YAML ({type(error).__name__}). "
            "Correct it: Synapse refuses it too."
        ) from None


def broken_yaml(path: str, error: Any) -> str:
    mark = error.problem_mark or error.context_mark
    place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    problem = re.sub(r"(['\"]).{2,}\1", "…", error.problem or error.context or "it cannot be parsed")
    return f"The configuration file {path}{place} is not valid YAML: {problem}. Correct it: Synapse refuses it too."


@dataclass(frozen=True)
class ConfigFile:
    """One file of a configuration: `content` is its `text` as YAML."""

    path: str
    text: str = field(repr=False)
    content: Any = field(repr=False)


def read_files(paths: Sequence[str]) -> list[ConfigFile]:
    """Every file, read and parsed once. Raises ConfigurationError, also where there is none."""
    files = config_files(paths)
    if not files:
        raise ConfigurationError(
            f"No configuration file of Synapse was found in {', '.join(paths) or 'an empty list of paths'}. "
            "Set synapse_s3_synapse_config_paths to the files and directories Synapse is started with."
        )
    return [_read_file(path) for path in files]


def _read_file(path: str) -> ConfigFile:
    text = read_text(path)
    return ConfigFile(path, text, parse(text, path))


def merged(files: Sequence[ConfigFile]) -> dict[str, Any]:
    """All files merged as Synapse does it: key by key at the top level, the later file wins."""
    settings: dict[str, Any] = {}
    for file in files:
        # Synapse ignores a file that is empty or no mapping, so this does too.
        if isinstance(file.content, dict):
            settings.update(file.content)
    return settings


def read_merged(paths: Sequence[str]) -> dict[str, Any]:
    """The merged settings of all files. Raises ConfigurationError."""
    return merged(read_files(paths))


def media_store_path(config: Mapping[str, Any], working_directory: str) -> str:
    path = config.get("media_store_path", DEFAULT_MEDIA_STORE)
    if not isinstance(path, str) or not path:
        raise ConfigurationError(
            "media_store_path in Synapse's configuration is not a path. Correct it there, or set synapse_s3_media_path."
        )
    return absolute(path, working_directory)


def absolute(path: str, working_directory: str) -> str:
    """As os.path.abspath would say in the working directory: symbolic links stay as they are."""
    # pathlib has no lexical normalisation: resolve() follows links and absolute() keeps "..".
    return normpath(path if path.startswith("/") else f"{working_directory}/{path}")


def database_settings(config: Mapping[str, Any], working_directory: str | None = None) -> DatabaseSettings:
    """Synapse's database; a relative SQLite path is taken from the working directory, as SQLite does in Synapse."""
    section = _database_section(config)
    name = section.get("name", "sqlite3")
    args = section.get("args") or {}
    if name not in ("psycopg2", "sqlite3"):
        raise ConfigurationError(
            "database.name in Synapse's configuration is neither psycopg2 nor sqlite3, the two that Synapse knows. "
            "Correct it there, or set synapse_s3_database."
        )
    if not isinstance(args, dict):
        raise ConfigurationError(
            "database.args in Synapse's configuration is not a mapping. Correct it there, or set synapse_s3_database."
        )
    args = {str(key): value for key, value in args.items() if not str(key).startswith("cp_")}
    if name == "sqlite3":
        args = _sqlite_args(args, working_directory)
    return DatabaseSettings(name=name, args=args)


def _database_section(config: Mapping[str, Any]) -> Mapping[str, Any]:
    single, several = config.get("database"), config.get("databases")
    if single and several:
        raise ConfigurationError(
            "Synapse's configuration has both database and databases, which Synapse refuses. Remove one of them."
        )
    if several:
        if not isinstance(several, dict) or len(several) != 1:
            raise ConfigurationError(
                "databases in Synapse's configuration does not name exactly one database. "
                "Set synapse_s3_database to the name and args of the one with the data store `main`."
            )
        (single,) = several.values()
    if not single and config.get("database_path"):
        return {"name": "sqlite3", "args": {"database": config["database_path"]}}
    if not isinstance(single, dict) or not single:
        raise ConfigurationError(
            "Synapse's configuration has no database section. "
            "Name every file Synapse is started with in synapse_s3_synapse_config_paths, or set synapse_s3_database."
        )
    return single


def _sqlite_args(args: dict[str, Any], working_directory: str | None) -> dict[str, Any]:
    path = args.get("database")
    if not isinstance(path, str) or not path or path == ":memory:":
        raise ConfigurationError(
            "database.args.database in Synapse's configuration is not the path of an SQLite file. "
            "Correct it there, or set synapse_s3_database."
        )
    if not path.startswith("/"):
        if not working_directory:
            raise ConfigurationError(
                f"The SQLite path {path} in Synapse's configuration is relative to an unknown directory. "
                "Make it absolute there, or set synapse_s3_database."
            )
        path = absolute(path, working_directory)
    return {**{key: value for key, value in args.items() if key != SQLITE_POOL_ARGUMENT}, "database": path}
