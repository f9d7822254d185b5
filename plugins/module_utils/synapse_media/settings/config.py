# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The YAML file of the migrate command: one file for every engine, and nobody else's to read."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from .store import StoreSettings
from .yaml_loader import HAS_YAML, NO_YAML, YAML_ERRORS, AliasError, aliases_refused, load

SECTIONS = (
    "media_path",
    "homeserver_config",
    "synapse_configs",
    "working_directory",
    "database",
    "s3",
    "migrate",
    "offload",
)

# What the file may leave out so that a secret lies on the host only once: in the unit's environment file.
SECRETS_FROM_ENVIRONMENT = {
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "session_token": "AWS_SESSION_TOKEN",
    "sse_customer_key": "SSE_CUSTOMER_KEY",
}
_KEY_PAIR = ("access_key_id", "secret_access_key", "session_token")


@dataclass(frozen=True)
class SourceSettings:
    """Where the media and the rows about it are: said outright, or to be read from Synapse's configuration.

    `homeserver_config` is that of the main process. `synapse_configs` names the files of each process that may serve
    media; where it is empty, the main process is taken for the only one.
    """

    media_path: str | None = None
    homeserver_config: tuple[str, ...] = ()
    working_directory: str | None = None
    database: dict[str, Any] | None = field(default=None, repr=False)
    synapse_configs: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class ConfigFile:
    """The file's contents; an engine's own section stays as it was written, for that engine to check."""

    path: str
    source: SourceSettings
    store: StoreSettings
    migrate: dict[str, Any]
    offload: dict[str, Any]


def read_config(path: str, environment: Mapping[str, str]) -> ConfigFile:
    content = _parse(_read_private(path), path)
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} is no YAML mapping. It takes the keys {', '.join(SECTIONS)}.")
    refuse_unknown(content, SECTIONS, path)
    return ConfigFile(
        path=path,
        source=_source(content, path),
        store=StoreSettings.from_mapping(with_secrets(mapping(content, "s3", path), environment)),
        migrate=mapping(content, "migrate", path),
        offload=mapping(content, "offload", path),
    )


def mapping(content: Mapping[str, Any], section: str, path: str) -> dict[str, Any]:
    value = content.get(section)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigurationError(f"{section} in {path} is no mapping. Write its settings below it, indented.")
    return {str(key): setting for key, setting in value.items()}


def refuse_unknown(content: Mapping[Any, Any], known: Sequence[str], where: str) -> None:
    unknown = sorted(str(key) for key in content if key not in known)
    if unknown:
        raise ConfigurationError(f"Unknown setting {', '.join(unknown)} in {where}. It takes {', '.join(known)}.")


def text(content: Mapping[str, Any], key: str, where: str) -> str | None:
    value = content.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"{key} in {where} is {value!r}, which is no text. Put it in quotes.")
    return value


def flag(content: Mapping[str, Any], key: str, where: str, default: bool) -> bool:
    value = content.get(key, default)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{key} in {where} is {value!r}. Write true or false.")
    return value


def with_secrets(section: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """The S3 section, completed from the environment. A key pair is taken from one place, never mixed from two."""
    complete = dict(section)
    in_file = any(section.get(name) for name in _KEY_PAIR)
    for name, variable in SECRETS_FROM_ENVIRONMENT.items():
        if section.get(name) or (in_file and name in _KEY_PAIR):
            continue
        complete[name] = environment.get(variable)
    return complete


def path_lists(value: Any, where: str) -> tuple[tuple[str, ...], ...]:
    """A list of paths for each of Synapse's processes, as synapse_configs has it. Raises ConfigurationError."""
    processes = value or []
    if not isinstance(processes, list) or not all(
        isinstance(paths, list) and paths and all(isinstance(path, str) and path for path in paths)
        for paths in processes
    ):
        raise ConfigurationError(
            f"synapse_configs in {where} is no list of lists of paths. Write one list a process, such as "
            "'- [/etc/matrix-synapse/homeserver.yaml, /etc/matrix-synapse/conf.d]'."
        )
    return tuple(tuple(paths) for paths in processes)


def _source(content: Mapping[str, Any], path: str) -> SourceSettings:
    homeserver_config = content.get("homeserver_config") or []
    if isinstance(homeserver_config, str):
        homeserver_config = [homeserver_config]
    if not isinstance(homeserver_config, list) or not all(isinstance(entry, str) for entry in homeserver_config):
        raise ConfigurationError(
            f"homeserver_config in {path} is no list of paths. Write one '- /path' a line below it."
        )
    return SourceSettings(
        media_path=text(content, "media_path", path),
        homeserver_config=tuple(homeserver_config),
        synapse_configs=path_lists(content.get("synapse_configs"), path),
        working_directory=text(content, "working_directory", path),
        database=mapping(content, "database", path) or None,
    )


def _parse(contents: str, path: str) -> Any:
    if not HAS_YAML:
        raise ConfigurationError(NO_YAML)
    try:
        return load(contents)
    except AliasError:
        raise ConfigurationError(aliases_refused(path)) from None
    except YAML_ERRORS as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        # The parser's own words would quote the file, and with it a secret.
        raise ConfigurationError(f"{path}{place} is not valid YAML. Correct it there.") from None


def _read_private(path: str) -> str:
    """The text of a file that only its owner can read: it holds the keys to the bucket and the database."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            # Of the open file, so that what is checked is what is read.
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigurationError(f"{path} is no regular file. Give --config the path of a YAML file.")
            if status.st_mode & 0o077:
                raise ConfigurationError(
                    f"{path} holds secrets and others can get at it (mode {stat.S_IMODE(status.st_mode):04o}). "
                    f"Run chmod 0600 {path}."
                )
            return file.read()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8. Save it as UTF-8.") from error
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}). Give --config a file that the user this runs as owns."
        ) from error
