# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of the provider: those of the official one, and its own; anything else is refused with its name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STORAGE_CLASSES = (
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
)
# Objects of these classes have to be restored by hand before anything can read them.
_ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")
_CHECKSUM_POLICIES = ("when_required", "when_supported")
_ADDRESSING_STYLES = ("auto", "path", "virtual")

# Twisted starts five threads at once.
_FEWEST_THREADS = 5


class SettingsError(ValueError):
    """A setting that cannot work; the text names it and the remedy, and shows no secret."""


@dataclass(frozen=True)
class Settings:
    """Times are in seconds. None means that boto3 decides, as it does in the official provider."""

    bucket: str
    prefix: str = ""
    region_name: str | None = None
    endpoint_url: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    sse_customer_key: str | None = field(default=None, repr=False)
    sse_customer_algo: str = "AES256"
    storage_class: str = "STANDARD"
    addressing_style: str | None = None
    ca_bundle: str | None = None
    request_checksum_calculation: str = "when_required"
    response_checksum_validation: str = "when_required"
    # Threads for downloads, and as many for uploads; the connections of each that are kept open.
    threadpool_size: int = 40
    max_pool_connections: int = 40
    # Of one attempt: to connect, and between two parts of a response.
    connect_timeout: float = 2.0
    read_timeout: float = 5.0
    max_attempts: int = 2
    # Of a whole download until its first 64 KiB, waiting for a thread included.
    fetch_timeout: float = 8.0
    # Of one read in the middle of a download.
    stall_timeout: float = 60.0
    # A store may take long to answer an upload, which it has to write first.
    store_read_timeout: float = 60.0
    store_max_attempts: int = 3
    # Failed copies of the asynchronous mode: how often they are tried again, and after how long the first time.
    store_retries: int = 5
    store_retry_delay: float = 5.0
    # After so many failures in a row nothing is asked of the store for so long.
    circuit_failures: int = 5
    circuit_seconds: float = 10.0

    def sse_arguments(self) -> dict[str, str]:
        """What a download and an upload need with a customer key."""
        if not self.sse_customer_key:
            return {}
        return {"SSECustomerKey": self.sse_customer_key, "SSECustomerAlgorithm": self.sse_customer_algo}

    def secrets(self) -> list[str]:
        return [text for text in (self.secret_access_key, self.session_token, self.sse_customer_key) if text]


# What the official provider takes as any text, or turns into text.
_TEXTS = (
    "region_name",
    "endpoint_url",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "sse_customer_key",
    "sse_customer_algo",
    "ca_bundle",
)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "addressing_style": _ADDRESSING_STYLES,
    "request_checksum_calculation": _CHECKSUM_POLICIES,
    "response_checksum_validation": _CHECKSUM_POLICIES,
}
# The least and the greatest value.
_COUNTS = {
    "threadpool_size": (_FEWEST_THREADS, 1000),
    "max_pool_connections": (1, 1000),
    "max_attempts": (1, 10),
    "store_max_attempts": (1, 10),
    "store_retries": (0, 20),
    "circuit_failures": (1, 1000),
}
_SECONDS = {
    "connect_timeout": (0.1, 60.0),
    "read_timeout": (0.1, 300.0),
    "fetch_timeout": (0.1, 600.0),
    "stall_timeout": (0.1, 600.0),
    "store_read_timeout": (0.1, 3600.0),
    "store_retry_delay": (0.01, 3600.0),
    "circuit_seconds": (0.1, 3600.0),
}
KEYS = ("bucket", "prefix", "storage_class", *_TEXTS, *_CHOICES, *_COUNTS, *_SECONDS)


def read_settings(config: Mapping[str, Any]) -> Settings:
    """The settings in the key `config` of the provider's entry. Raises SettingsError."""
    _refuse_unknown(config)
    given: dict[str, Any] = {"bucket": _bucket(config.get("bucket"))}
    prefix = config.get("prefix", "")
    if not isinstance(prefix, str):
        raise SettingsError(f"prefix is {prefix!r}, which is no text. Put it in quotes, or leave it out.")
    given["prefix"] = prefix
    given["storage_class"] = _storage_class(config.get("storage_class", "STANDARD"))
    for name in _TEXTS:
        if config.get(name) not in (None, ""):
            given[name] = str(config[name])
    for name, choices in _CHOICES.items():
        if config.get(name) is not None:
            given[name] = _choice(name, config[name], choices)
    for name, (least, greatest) in _COUNTS.items():
        if config.get(name) is not None:
            given[name] = _count(name, config[name], least, greatest)
    for name, (shortest, longest) in _SECONDS.items():
        if config.get(name) is not None:
            given[name] = _seconds(name, config[name], shortest, longest)
    given.setdefault("max_pool_connections", given.get("threadpool_size", Settings.threadpool_size))
    ca_bundle = given.get("ca_bundle")
    if ca_bundle and not os.access(ca_bundle, os.R_OK):
        raise SettingsError(f"ca_bundle is {ca_bundle!r}, which is no file that this user can read.")
    return Settings(**given)


def _refuse_unknown(config: Mapping[str, Any]) -> None:
    unknown = [str(key) for key in config if key not in KEYS]
    if not unknown:
        return
    found = []
    for key in unknown:
        near = difflib.get_close_matches(key, KEYS, 1)
        found.append(f"{key!r} (did you mean {near[0]!r}?)" if near else repr(key))
    raise SettingsError(f"unknown: {', '.join(found)}. Known are {', '.join(sorted(KEYS))}.")


def _bucket(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise SettingsError("bucket is missing or no text. Set it to the name of the bucket.")
    return value


def _storage_class(value: Any) -> str:
    if value in STORAGE_CLASSES:
        return str(value)
    why = "is archived, so Synapse could not read its media" if value in _ARCHIVED else "is not known"
    raise SettingsError(f"storage_class {value!r} {why}. Set it to one of {', '.join(STORAGE_CLASSES)}.")


def _choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise SettingsError(f"{name} is {value!r}. Set it to one of {', '.join(choices)}.")
    return str(value)


def _count(name: str, value: Any, least: int, greatest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= greatest:
        raise SettingsError(f"{name} is {value!r}. Set it to a whole number from {least} to {greatest}.")
    return value


def _seconds(name: str, value: Any, shortest: float, longest: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not shortest <= value <= longest:
        raise SettingsError(f"{name} is {value!r}. Set it to a number of seconds from {shortest:g} to {longest:g}.")
    return float(value)
