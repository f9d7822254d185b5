# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the configuration of each process of Synapse says about media, and what keeps several of them from S3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .homeserver_summary import health_url, storage_providers
from .synapse_media.settings.homeserver import media_store_path, merged, read_files
from .synapse_media.settings.media_providers import media_process
from .synapse_processes import media_services, same_python


def process_settings(process: Mapping[str, Any]) -> dict[str, Any]:
    """The process with its settings, as the module synapse_preflight_info documents them. Raises ConfigurationError."""
    files = read_files(process["config_paths"])
    media = media_process(files)
    config = merged(files)
    return {
        **process,
        "worker_name": media.worker_name,
        "serves_media": media.serves_media,
        "media_store_path": media_store_path(config, process["working_directory"]),
        "enable_local_media_storage": bool(config.get("enable_local_media_storage", True)),
        "url": health_url(config.get("listeners" if media.worker_name is None else "worker_listeners")),
        "storage_providers": storage_providers(files),
        "config_files": [file.path for file in files],
    }


def process_problems(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """In words, each with its remedy, why the media of these processes cannot be put on S3; for several of them."""
    return list(_problems(found)) if len(found) > 1 else []


def _problems(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    serving = [process for process in found if process["serves_media"]]
    if not serving:
        yield (
            f"None of the processes of Synapse on this host serves media ({_named(found)}): enable_media_repo is false "
            "for each, or it has no listener for media. Name the service of the process that serves media in "
            "synapse_s3_synapse_services, or remove enable_media_repo from its configuration."
        )
        return
    first = serving[0]
    if not media_services(serving):
        yield (
            f"None of the processes that serve media is running ({_named(serving)}), so a change could not be told "
            f"from what is wrong already. Start one ('systemctl start {first['service']}') and run again."
        )
    for process in serving[1:]:
        if process["media_store_path"] != first["media_store_path"]:
            yield (
                f"{_name(process)} keeps its media in {process['media_store_path']} and {_name(first)} in "
                f"{first['media_store_path']}. Give both the same media_store_path, or name only one of them in "
                "synapse_s3_synapse_service and start the others with files of their own."
            )
        if process["user"] != first["user"]:
            yield (
                f"{_name(process)} runs as {process['user']} and {_name(first)} as {first['user']}, so one of them "
                "could not read what is written for the other. Start both as the same user."
            )
    main = found[0]
    for process in serving:
        if not same_python(process["python"], main["python"]):
            yield (
                f"{_name(process)} runs with {process['python']} and {_name(main)} with {main['python']}. The storage "
                "provider is installed into one Python. Start both with the same, or set synapse_s3_instance and name "
                "each in a run of its own."
            )
        if process is not main and not process["enable_local_media_storage"]:
            yield (
                f"{_name(process)} has 'enable_local_media_storage: false', and uploads fail with that and the S3 "
                f"storage provider. Remove it from {', '.join(process['config_files'])}, restart the service, and run "
                "again; the migrate timer keeps the disk small."
            )


def _named(found: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(map(_name, found))


def _name(process: Mapping[str, Any]) -> str:
    return str(process["service"] or "Synapse")
