# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings in Synapse's configuration that concern media, without secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .homeserver_edit.entry import KEY, PROVIDER_MODULES
from .homeserver_edit.flow_entry import unmarked
from .homeserver_edit.managed_entry import find_managed_entry
from .synapse_media.settings.homeserver import ConfigFile, absolute, media_store_path, merged, read_files

# The address by which a listener on all addresses is reached.
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, never listened on

_UNIX_SOCKET = re.compile(r"unix:(?://)?(?P<path>/.+)")
_LIFETIMES = ("local_media_lifetime", "remote_media_lifetime")
_LOST = " Media of this server's own users is then gone for everybody (local_media_lifetime)."


def summary(config_paths: Sequence[str], working_directory: str) -> dict[str, Any]:
    """The settings as the module homeserver_config_info documents them. Raises ConfigurationError."""
    paths = [absolute(path, working_directory) for path in config_paths]
    files = read_files(paths)
    config = merged(files)
    directories = [path for path in paths if Path(path).is_dir()]
    return {
        "server_name": config.get("server_name"),
        "media_store_path": media_store_path(config, working_directory),
        # As in Synapse: anything but false enables the first, any true value enables the others.
        "enable_media_repo": config.get("enable_media_repo", True) is not False,
        "enable_local_media_storage": bool(config.get("enable_local_media_storage", True)),
        "enable_authenticated_media": bool(config.get("enable_authenticated_media", True)),
        "database_name": _database_name(config),
        "base_url": base_url(config.get("listeners")),
        "storage_providers": storage_providers(files),
        "media_retention": media_retention(config),
        "config_directory": directories[-1] if directories else None,
        "config_files": [file.path for file in files],
    }


def request_address(url: str) -> tuple[str, str | None]:
    """The URL to send requests to, and the path of the Unix socket they go over, or None.

    `url` is a URL, or `unix:` and the path of a socket.
    """
    socket = _UNIX_SOCKET.fullmatch(url)
    # A request needs a host, and a Unix socket has none.
    return ("http://localhost", socket["path"]) if socket else (url, None)


def media_retention(config: Mapping[str, Any]) -> dict[str, str]:
    """The lifetimes that media_retention sets, as they are written; empty if it deletes nothing."""
    section = config.get("media_retention")
    section = section if isinstance(section, dict) else {}
    return {name: str(section[name]) for name in _LIFETIMES if section.get(name) is not None}


def retention_warning(lifetimes: Mapping[str, str], files: Sequence[str]) -> str | None:
    """A warning for operators who take media_retention for a limit of the local disk; None if it is not set."""
    if not lifetimes:
        return None
    found = ", ".join(f"{name}: {value}" for name, value in lifetimes.items())
    return (
        f"Synapse's configuration ({', '.join(files)}) sets media_retention ({found}). This is not a limit for "
        "the local disk: when that time has passed since the last access, Synapse deletes the media's row from its "
        f"database and its local file.{_LOST if 'local_media_lifetime' in lifetimes else ''} The objects in the bucket "
        "stay, cost money and are never served again. To keep the disk small, remove media_retention: the migrate job "
        "frees the disk and loses nothing."
    )


def _database_name(config: Mapping[str, Any]) -> str | None:
    """The driver of the database; None if there is not exactly one. Errors in these settings are reported elsewhere."""
    databases = config.get("databases")
    section = config.get("database")
    if isinstance(databases, dict) and len(databases) == 1:
        section = next(iter(databases.values()))
    if isinstance(section, dict):
        return str(section.get("name", "sqlite3"))
    return "sqlite3" if config.get("database_path") else None


def base_url(listeners: Any) -> str | None:
    """The URL of the first listener with the client API: over plain HTTP, else a Unix socket, else over TLS."""
    return _first_url([listener for listener in _http(listeners) if "client" in _resources(listener)])


def health_url(listeners: Any) -> str | None:
    """The URL of the first listener over HTTP, whatever it serves: each of a process also says whether that lives."""
    return base_url(listeners) or _first_url(_http(listeners))


def _http(listeners: Any) -> list[Mapping[str, Any]]:
    given = listeners if isinstance(listeners, list) else []
    return [listener for listener in given if isinstance(listener, dict) and listener.get("type") == "http"]


def _first_url(serving: Sequence[Mapping[str, Any]]) -> str | None:
    found: dict[str, list[str]] = {"http": [], "unix": [], "https": []}
    for listener in serving:
        if listener.get("port"):
            scheme = "https" if listener.get("tls") else "http"
            found[scheme].append(f"{scheme}://{_host(listener)}:{listener['port']}")
        elif str(listener.get("path", "")).startswith("/"):
            found["unix"].append(f"unix:{listener['path']}")
    return next((url for urls in found.values() for url in urls), None)


def _resources(listener: Mapping[str, Any]) -> list[str]:
    names: list[str] = []
    for resource in listener.get("resources") or []:
        given = resource.get("names", []) if isinstance(resource, dict) else []
        names += [given] if isinstance(given, str) else list(given)
    return names


def _host(listener: Mapping[str, Any]) -> str:
    addresses = [str(address) for address in listener.get("bind_addresses") or []]
    if listener.get("bind_address"):
        addresses.append(str(listener["bind_address"]))
    reachable = [_WILDCARDS.get(address, address) for address in addresses] or ["127.0.0.1"]
    # IPv6 may be configured and yet not work on this host, so IPv4 is preferred.
    host = "127.0.0.1" if "127.0.0.1" in reachable else reachable[0]
    return f"[{host}]" if ":" in host else host


def storage_providers(files: Sequence[ConfigFile]) -> list[dict[str, Any]]:
    """The entries that Synapse uses: those in the last file with the key."""
    for file in reversed(files):
        if isinstance(file.content, dict) and KEY in file.content:
            managed = find_managed_entry(file.text, file.path)
            entries = file.content[KEY] if isinstance(file.content[KEY], list) else []
            return [_provider(entry, file.path, managed.data if managed else None) for entry in entries]
    return []


def _provider(entry: Any, path: str, managed: Mapping[str, Any] | None) -> dict[str, Any]:
    entry = unmarked(entry) if isinstance(entry, dict) else {}
    is_s3 = entry.get("module") in PROVIDER_MODULES
    config = entry.get("config")
    config = config if isinstance(config, dict) and is_s3 else {}
    return {
        "module": entry.get("module"),
        "file": path,
        "bucket": config.get("bucket"),
        # The default of the provider is an empty prefix.
        "prefix": ("" if config.get("prefix") is None else config["prefix"]) if is_s3 else None,
        "ours": managed is not None and entry == managed,
    }
