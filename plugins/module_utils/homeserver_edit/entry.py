# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The S3 entry of media_storage_providers: as data, as lines of YAML, and with its secrets masked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.settings.media_providers import PROVIDER_MODULE as S3_MODULE
from ..synapse_media.settings.media_providers import PROVIDER_MODULES as S3_MODULES
from ..synapse_media.settings.media_providers import PROVIDERS_KEY, RESILIENT_MODULE
from ..synapse_media.settings.store import ALL_STORAGE_CLASSES, PROVIDER_STORAGE_CLASSES, StoreSettings

KEY = PROVIDERS_KEY
PROVIDER_MODULE = S3_MODULE
PROVIDER_MODULES = S3_MODULES
# The values of the option that chooses one of them.
PROVIDERS = {"official": PROVIDER_MODULE, "resilient": RESILIENT_MODULE}
SWITCHES = ("store_local", "store_remote", "store_synchronous")
SECRETS = ("secret_access_key", "session_token", "sse_customer_key")
CONFIG_KEYS = (
    "bucket",
    "prefix",
    "region_name",
    "endpoint_url",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "sse_customer_key",
    "sse_customer_algo",
    "storage_class",
)

# What only the resilient provider takes: the first two are settings of the collection, the others are options.
RESILIENT_SETTINGS = ("addressing_style", "ca_bundle")
RESILIENT_OPTIONS = (
    "circuit_failures",
    "circuit_seconds",
    "connect_timeout",
    "fetch_timeout",
    "max_attempts",
    "max_pool_connections",
    "read_timeout",
    "request_checksum_calculation",
    "response_checksum_validation",
    "stall_timeout",
    "store_max_attempts",
    "store_read_timeout",
    "store_retries",
    "store_retry_delay",
    "threadpool_size",
)
OPTIONS_VARIABLE = "synapse_s3_storage_provider_options"


class Masked(str):
    """Text that a diff shows in place of a value; it is written without quotes."""

    __slots__ = ()


MASK = Masked("********")
CHANGED_MASK = Masked("********  (changed)")


@dataclass(frozen=True)
class ProviderEntry:
    """The settings of the storage provider. Raises ConfigurationError for one that it does not accept.

    Of `settings`, the entry contains the keys in CONFIG_KEYS; the others are for this collection's own S3 client, and
    for the resilient provider. `options`: more settings of that one, by the names in RESILIENT_OPTIONS.
    """

    settings: StoreSettings
    store_local: bool = True
    store_remote: bool = True
    store_synchronous: bool = True
    module: str = PROVIDER_MODULE
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_resilient(self) -> bool:
        return self.module == RESILIENT_MODULE

    def __post_init__(self) -> None:
        accepted = ALL_STORAGE_CLASSES if self.is_resilient else PROVIDER_STORAGE_CLASSES
        if self.settings.storage_class not in accepted:
            raise ConfigurationError(
                f"synapse_s3_storage_class is {self.settings.storage_class}, which the storage provider does not "
                f"accept. Set it to one of {', '.join(accepted)}."
            )
        _check_options(self.options, self.is_resilient)

    def data(self) -> dict[str, Any]:
        """The entry as Synapse reads it."""
        config = {key: getattr(self.settings, key) for key in CONFIG_KEYS}
        if not config["sse_customer_key"]:
            del config["sse_customer_algo"]
        if self.is_resilient:
            # The default leaves the choice to boto3, as for the official provider.
            style = self.settings.addressing_style
            config["addressing_style"] = style if style != "auto" else None
            config["ca_bundle"] = self.settings.ca_bundle
        given = {key: value for key, value in config.items() if value}
        given.update({key: self.options[key] for key in RESILIENT_OPTIONS if key in self.options})
        return {
            "module": self.module,
            **{switch: getattr(self, switch) for switch in SWITCHES},
            "config": given,
        }

    def holds_secret(self) -> bool:
        """Whether the file with this entry must not be readable by other users."""
        return any(getattr(self.settings, name) for name in SECRETS)


def _check_options(options: Mapping[str, Any], is_resilient: bool) -> None:
    if options and not is_resilient:
        raise ConfigurationError(
            f"{OPTIONS_VARIABLE} sets {', '.join(map(str, options))}, which only the resilient storage provider takes. "
            "Set synapse_s3_storage_provider to 'resilient', or leave it empty."
        )
    for name, value in options.items():
        if name not in RESILIENT_OPTIONS:
            near = difflib.get_close_matches(str(name), RESILIENT_OPTIONS, 1)
            raise ConfigurationError(
                f"{OPTIONS_VARIABLE} has no {str(name)!r}{f': {near[0]} is the nearest' if near else ''}. "
                f"It takes {', '.join(RESILIENT_OPTIONS)}; what else the provider needs are settings of their own."
            )
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ConfigurationError(f"{OPTIONS_VARIABLE} has {name}: {value!r}. Give it a number or a text.")


def entry_lines(data: Mapping[str, Any], column: int) -> list[str]:
    """The entry as an item of a YAML list whose dashes are in this column, without line ends."""
    indent = " " * column
    return [f"{indent}{'- ' if index == 0 else '  '}{line}" for index, line in enumerate(_mapping_lines(data))]


def _mapping_lines(data: Mapping[str, Any]) -> list[str]:
    rendered = []
    for key, value in data.items():
        if isinstance(value, Mapping):
            rendered += [f"{key}:", *(f"  {line}" for line in _mapping_lines(value))]
        elif key == "module":
            rendered.append(f"{key}: {value}")
        else:
            rendered.append(f"{key}: {_scalar(key, value)}")
    return rendered


def _scalar(key: str, value: bool | float | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Masked):
        return value
    check_printable({key: value})
    # In single quotes no character but the quote itself is special.
    return "'" + value.replace("'", "''") + "'"


def check_printable(data: Mapping[str, Any]) -> None:
    """Raises ConfigurationError for a value that YAML would not read back unchanged from one line."""
    for key, value in data.items():
        if isinstance(value, Mapping):
            check_printable(value)
        elif isinstance(value, str) and not value.isprintable():
            raise ConfigurationError(
                f"synapse_s3_{key} contains a line break or another unprintable character. Remove that character."
            )


def masked_lines(data: Mapping[str, Any], column: int, before: Mapping[str, Any] | None = None) -> list[str]:
    """The entry for a diff: each secret is masked, and marked as changed if it differs from the one in `before`."""
    module = data.get("module")
    shown: dict[str, Any] = {"module": module if module in PROVIDER_MODULES else PROVIDER_MODULE}
    shown.update({switch: _visible(data[switch]) for switch in SWITCHES if switch in data})
    config, before_config = _config(data), _config(before or {})
    shown["config"] = {
        key: _masked(key, value, before_config) for key, value in config.items() if str(key).isidentifier()
    }
    return entry_lines(shown, column)


def _config(data: Mapping[str, Any]) -> Mapping[str, Any]:
    config = data.get("config")
    return config if isinstance(config, Mapping) else {}


def _masked(key: str, value: Any, before: Mapping[str, Any]) -> bool | float | str:
    if _is_public(key, value):
        return _visible(value, number=key in RESILIENT_OPTIONS)
    return CHANGED_MASK if before.get(key, value) != value else MASK


def shown_value(key: str, value: Any) -> bool | float | str:
    """The value for a message; MASK if it is a secret or may contain one."""
    return _visible(value) if _is_public(key, value) else MASK


def _is_public(key: str, value: Any) -> bool:
    # A key that the provider does not know may hold anything, including a secret.
    with_password = key == "endpoint_url" and "@" in str(value)
    if key in SWITCHES or key in RESILIENT_SETTINGS or key in RESILIENT_OPTIONS:
        return True
    return key in CONFIG_KEYS and key not in SECRETS and not with_password


def _visible(value: Any, *, number: bool = False) -> bool | float | str:
    if isinstance(value, bool) or (number and isinstance(value, (int, float))):
        return value
    return value if isinstance(value, str) and value.isprintable() else MASK
