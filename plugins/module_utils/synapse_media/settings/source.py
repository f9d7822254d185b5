# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the media is, and the rows about it: said outright, or read from Synapse's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigurationError
from .config import SourceSettings
from .homeserver import DEFAULT_MEDIA_STORE, DatabaseSettings, database_settings, media_store_path, read_merged
from .media_providers import MediaProcess, read_media_process


@dataclass(frozen=True)
class Source:
    """Where the media is, and the rows about it; some steps need no rows.

    `keeps_local_media` is false if Synapse's configuration was read and says that media goes to S3 alone.
    `server_name` is that of the same configuration, None if it was not read or names none.
    `processes` is what Synapse's processes say of where they fetch media; empty if it is not known, or not needed.
    """

    media_path: str
    database: DatabaseSettings | None = None
    keeps_local_media: bool = True
    processes: tuple[MediaProcess, ...] = ()
    server_name: str | None = None


def resolve(
    settings: SourceSettings,
    *,
    with_database: bool = True,
    read_always: bool = False,
    with_processes: bool = False,
) -> Source:
    """What is said outright wins over Synapse's configuration, which is read only where something is missing.

    With `read_always` it is read wherever it is named, and `with_processes` that of Synapse's other processes too, for
    a run that deletes. Raises ConfigurationError.
    """
    needs_database = with_database and settings.database is None
    needed = needs_database or not settings.media_path or (read_always and settings.homeserver_config)
    config = read_merged(settings.homeserver_config) if needed else {}
    media_path = settings.media_path or _media_path(config, settings.working_directory)
    if not media_path.startswith("/"):
        raise ConfigurationError(f"media_path is {media_path!r}. Write it in full, beginning with a slash.")
    database = None
    if with_database:
        section = {"database": settings.database} if settings.database else config
        database = database_settings(section, settings.working_directory)
    processes = _processes(settings) if with_processes else ()
    keeps_local_media = config.get("enable_local_media_storage") is not False
    name = config.get("server_name")
    return Source(media_path, database, keeps_local_media, processes, name if isinstance(name, str) and name else None)


def _processes(settings: SourceSettings) -> tuple[MediaProcess, ...]:
    named = settings.synapse_configs or ((settings.homeserver_config,) if settings.homeserver_config else ())
    return tuple(read_media_process(paths) for paths in named)


def _media_path(config: Mapping[str, Any], working_directory: str | None) -> str:
    path = media_store_path(config, working_directory or "")
    relative = not str(config.get("media_store_path", DEFAULT_MEDIA_STORE)).startswith("/")
    if relative and not working_directory:
        raise ConfigurationError(
            "media_store_path in Synapse's configuration is relative to a working directory that is not known. "
            "Set synapse_s3_media_path, or make it absolute there."
        )
    return path
