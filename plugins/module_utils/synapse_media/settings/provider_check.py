# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Before anything is deleted: whether each process of Synapse that serves media fetches it from this location."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from .media_providers import PROVIDER_MODULE, PROVIDER_MODULES, PROVIDERS_KEY, MediaProcess, Provider
from .source import Source
from .store import StoreSettings

_DEFAULT_PORTS = {"http": 80, "https": 443}
# All of these lead to the one name space of buckets that AWS has, whichever of its regions they name.
_AWS_HOST = re.compile(r"s3(?:-fips)?(?:[.-](?:dualstack\.)?[a-z0-9-]+)?\.amazonaws\.com")

_INSTEAD = "To copy without deleting, set synapse_s3_migrate_delete_local (delete_local) to false."


def check_provider(
    source: Source, store: StoreSettings, *, delete_local: bool, enabled: bool = True, rehearse: bool = False
) -> str | None:
    """Refuses a run that would delete what Synapse could not fetch; returns a warning where that was not checked.

    A rehearsal is refused as the run would be. With `enabled` false nothing is checked, which a rehearsal need not say:
    it deletes nothing. Raises ConfigurationError, which names what is in the way and the remedy.
    """
    if not delete_local:
        return None
    if not enabled:
        if rehearse:
            return None
        return "provider_check is false, so it was not checked that Synapse can fetch the media that this run deletes."
    if not source.processes:
        return (
            "Synapse's configuration is not known, so it was not checked that Synapse can fetch the media that this "
            "run deletes. Name Synapse's files in homeserver_config."
        )
    serving = [process for process in source.processes if process.serves_media]
    if not serving:
        _refuse(_no_process(source.processes))
    for process in serving:
        if not any(_fits(provider, store) for provider in process.providers):
            _refuse(f"{_name(process)} {_obstacle(process, store)}")
    return None


def _refuse(obstacle: str) -> None:
    raise ConfigurationError(f"Synapse could not fetch what this run would delete: {obstacle} {_INSTEAD}")


def _no_process(processes: Sequence[MediaProcess]) -> str:
    files = ", ".join(processes[0].files)
    if any(process.media_enabled for process in processes):
        return (
            f"none of the processes whose configuration is named ({files}) has a listener for media. "
            "Name the files of the process that serves media in synapse_configs."
        )
    return (
        f"enable_media_repo is false in {files}, so that process serves no media. Where a worker serves it, name the "
        "worker's configuration files as a list of their own in synapse_configs; else remove enable_media_repo."
    )


def _name(process: MediaProcess) -> str:
    return f"the worker {process.worker_name}" if process.worker_name else "the main process"


def _obstacle(process: MediaProcess, store: StoreSettings) -> str:
    """As a sentence whose subject is the process, and the remedy."""
    location = f"bucket {store.bucket!r} with prefix {store.prefix!r}"
    for replaced in process.lists[:-1]:
        if any(_fits(provider, store) for provider in replaced.providers):
            return (
                f"ignores the entry for {location} in {replaced.file}, because {PROVIDERS_KEY} in "
                f"{process.lists[-1].file}, which Synapse reads later, replaces the whole list. "
                f"Keep all entries in {process.lists[-1].file}."
            )
    if process.lists and not process.lists[-1].well_formed:
        return (
            f"has a {PROVIDERS_KEY} in {process.lists[-1].file} that is no list of entries. Write the entry of the S3 "
            "storage provider below it, beginning with '- module:'."
        )
    of_s3 = [provider for provider in process.providers if provider.module in PROVIDER_MODULES]
    if of_s3:
        differences = min((list(_differences(provider, store)) for provider in of_s3), key=len)
        return (
            f"has an entry for S3 in {process.lists[-1].file} that leads elsewhere: {'; '.join(differences)}. "
            "Correct the one that is wrong, there or in the settings of this run, and restart Synapse."
        )
    if process.commented_out:
        return (
            f"has no storage provider for {location}: the entry for S3 is commented out ({process.commented_out}). "
            "Remove the comment marks and restart Synapse."
        )
    if process.misspelt:
        return (
            f"has no {PROVIDERS_KEY}, but {process.misspelt}, which Synapse does not know and ignores. Rename it to "
            f"{PROVIDERS_KEY} in {', '.join(process.files)} and restart Synapse."
        )
    others = sorted({str(provider.module) for provider in process.providers})
    if others:
        return (
            f"has other modules than {PROVIDER_MODULE} in {PROVIDERS_KEY} ({process.lists[-1].file}): "
            f"{', '.join(others)}. Correct the name of the module; or if one of these does fetch from {location}, set "
            "provider_check to false."
        )
    return (
        f"has no entry in {PROVIDERS_KEY} ({', '.join(process.files)}). Add the S3 storage provider for {location}, as "
        "the role storage_provider does, and restart Synapse."
    )


def _fits(provider: Provider, store: StoreSettings) -> bool:
    return provider.module in PROVIDER_MODULES and not any(_differences(provider, store))


def _differences(provider: Provider, store: StoreSettings) -> Iterator[str]:
    """Each in words, without a secret."""
    if provider.bucket != store.bucket:
        yield f"bucket is {_shown(provider.bucket)} there and {store.bucket!r} here"
    if provider.prefix is None:
        yield "prefix is null there, with which the provider fetches nothing (write '' or remove the line)"
    elif provider.prefix != store.prefix:
        yield f"prefix is {_shown(provider.prefix)} there and {store.prefix!r} here"
    theirs, ours = _endpoint(provider.endpoint_url), _endpoint(store.endpoint_url)
    if theirs != ours:
        yield f"endpoint_url is {theirs or 'that of AWS'} there and {ours or 'that of AWS'} here"
    if (provider.sse_customer_key or None) != store.sse_customer_key:
        yield "sse_customer_key " + _which_key(provider.sse_customer_key, store.sse_customer_key)
    elif store.sse_customer_key and provider.sse_customer_algo != store.sse_customer_algo:
        yield f"sse_customer_algo is {_shown(provider.sse_customer_algo)} there and {store.sse_customer_algo!r} here"


def _which_key(theirs: Any, ours: str | None) -> str:
    if not theirs:
        return "is set here only"
    return "is another one there than here" if ours else "is set there only"


def _endpoint(url: Any) -> str | None:
    """The endpoint in one spelling and without a user name or password; None for AWS's own."""
    if url is None or url == "":
        return None
    try:
        parts = urlsplit(str(url))
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return "no URL"
    if _AWS_HOST.fullmatch(host):
        return None
    host = f"[{host}]" if ":" in host else host
    default = port is None or port == _DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{host}{'' if default else f':{port}'}{parts.path.rstrip('/')}"


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    return repr(value) if isinstance(value, str) else f"{value} (no text: put it in quotes)"
