# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From where each process of Synapse fetches media that is not on the disk, as its merged configuration says."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .homeserver import ConfigFile, merged, read_files

PROVIDERS_KEY = "media_storage_providers"
PROVIDER_MODULE = "s3_storage_provider.S3StorageProviderBackend"
RESILIENT_MODULE = "synapse_s3_resilient_provider.ResilientS3StorageProviderBackend"
# Upstream's and this collection's own: they have the same keys in the bucket and the same settings for the location.
PROVIDER_MODULES = (PROVIDER_MODULE, RESILIENT_MODULE)
DEFAULT_ALGORITHM = "AES256"

_MEDIA_WORKER = "synapse.app.media_repository"
_MAIN_PROCESS = (None, "", "synapse.app.homeserver")
# The resources of a worker's listener that come with the paths of the media API.
_MEDIA_RESOURCES = {"media", "client", "federation"}
_COMMENTED_ENTRY = re.compile(
    r"^\s*#.*\bmodule\s*:\s*[\"']?(?:s3_storage_provider|synapse_s3_resilient_provider)\.", re.MULTILINE
)
# media_store_providers and media_storage_provider are as near as this, backup_media_store_path is not.
_NEAR = 0.85


@dataclass(frozen=True)
class Provider:
    """One entry of media_storage_providers, each value as it is written there; it holds no access keys."""

    module: Any
    bucket: Any = None
    prefix: Any = ""
    endpoint_url: Any = None
    sse_customer_key: Any = field(default=None, repr=False)
    sse_customer_algo: Any = DEFAULT_ALGORITHM


@dataclass(frozen=True)
class ProviderList:
    """The entries of the list in one file."""

    file: str
    providers: tuple[Provider, ...]
    # Synapse does not start where it is something else than a list of mappings.
    well_formed: bool = True


@dataclass(frozen=True)
class MediaProcess:
    """What of its configuration decides from where one process of Synapse serves media.

    `lists` holds the list of every file that has one, in Synapse's order: the last one counts, and replaces the others.
    """

    files: tuple[str, ...]
    # None for the main process.
    worker_name: str | None
    media_enabled: bool
    serves_media: bool
    lists: tuple[ProviderList, ...] = ()
    # A key of the configuration that Synapse does not know, and that is nearly the right one.
    misspelt: str | None = None
    # The file and line of an entry for S3 that is commented out.
    commented_out: str | None = None

    @property
    def providers(self) -> tuple[Provider, ...]:
        return self.lists[-1].providers if self.lists else ()


def read_media_process(paths: Sequence[str]) -> MediaProcess:
    """Reads the files and directories of one process, in the order of its -c options. Raises ConfigurationError."""
    return media_process(read_files(paths))


def media_process(files: Sequence[ConfigFile]) -> MediaProcess:
    """What the files of one process say about media. Raises ConfigurationError."""
    config = merged(files)
    worker_app = config.get("worker_app")
    # As Synapse itself asks.
    enabled = config.get("enable_media_repo", True) is not False or worker_app == _MEDIA_WORKER
    lists: list[ProviderList] = []
    commented_out = None
    for file in files:
        if isinstance(file.content, dict) and PROVIDERS_KEY in file.content:
            lists.append(_provider_list(file.path, file.content[PROVIDERS_KEY]))
        comment = _COMMENTED_ENTRY.search(file.text)
        if comment:
            line = file.text.count("\n", 0, comment.end()) + 1
            commented_out = f"{file.path}, line {line}"
    near = difflib.get_close_matches(PROVIDERS_KEY, [str(key) for key in config if key != PROVIDERS_KEY], 1, _NEAR)
    return MediaProcess(
        files=tuple(file.path for file in files),
        worker_name=None if worker_app in _MAIN_PROCESS else str(config.get("worker_name") or worker_app),
        media_enabled=enabled,
        serves_media=enabled and _has_media_listener(config),
        lists=tuple(lists),
        misspelt=near[0] if near else None,
        commented_out=commented_out,
    )


def _has_media_listener(config: Mapping[str, Any]) -> bool:
    """Whether the process answers requests for media; for a generic worker that depends on its listeners."""
    if config.get("worker_app") in (*_MAIN_PROCESS, _MEDIA_WORKER):
        return True
    listeners = config.get("worker_listeners")
    for listener in listeners if isinstance(listeners, list) else []:
        resources = listener.get("resources") if isinstance(listener, dict) else None
        for resource in resources if isinstance(resources, list) else []:
            names = resource.get("names") if isinstance(resource, dict) else None
            if _MEDIA_RESOURCES.intersection([names] if isinstance(names, str) else names or []):
                return True
    return False


def _provider_list(path: str, value: Any) -> ProviderList:
    entries = value if isinstance(value, list) else []
    well_formed = isinstance(value, list) and all(isinstance(entry, dict) for entry in entries)
    return ProviderList(path, tuple(_provider(entry) for entry in entries if isinstance(entry, dict)), well_formed)


def _provider(entry: Mapping[str, Any]) -> Provider:
    config = entry.get("config")
    config = config if isinstance(config, dict) else {}
    return Provider(
        module=entry.get("module"),
        bucket=config.get("bucket"),
        # The provider has defaults for keys that are absent, not for keys that are empty.
        prefix=config.get("prefix", ""),
        endpoint_url=config.get("endpoint_url"),
        sse_customer_key=config.get("sse_customer_key"),
        sse_customer_algo=config.get("sse_customer_algo", DEFAULT_ALGORITHM),
    )
