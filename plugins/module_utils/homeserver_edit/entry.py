# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The S3 entry of media_storage_providers: as data, as lines of YAML, and with its secrets masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.settings.media_providers import PROVIDER_MODULE as S3_MODULE
from ..synapse_media.settings.media_providers import PROVIDERS_KEY
from ..synapse_media.settings.store import PROVIDER_STORAGE_CLASSES, StoreSettings

KEY = PROVIDERS_KEY
PROVIDER_MODULE = S3_MODULE
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


class Masked(str):
    """Text that a diff shows in place of a value; it is written without quotes."""

    __slots__ = ()


MASK = Masked("********")
CHANGED_MASK = Masked("********  (changed)")


@dataclass(frozen=True)
class ProviderEntry:
    """The settings of the storage provider. Raises ConfigurationError for a storage class it does not accept.

    Of `settings`, the entry contains the keys in CONFIG_KEYS; the others are for this collection's own S3 client.
    """

    settings: StoreSettings
    store_local: bool = True
    store_remote: bool = True
    store_synchronous: bool = True

    def __post_init__(self) -> None:
        if self.settings.storage_class not in PROVIDER_STORAGE_CLASSES:
            raise ConfigurationError(
                f"synapse_s3_storage_class is {self.settings.storage_class}, which the storage provider does not "
                f"accept. Set it to one of {', '.join(PROVIDER_STORAGE_CLASSES)}."
            )

    def data(self) -> dict[str, Any]:
        """The entry as Synapse reads it."""
        config = {key: getattr(self.settings, key) for key in CONFIG_KEYS}
        if not config["sse_customer_key"]:
            del config["sse_customer_algo"]
        return {
            "module": PROVIDER_MODULE,
            **{switch: getattr(self, switch) for switch in SWITCHES},
            "config": {key: value for key, value in config.items() if value},
        }

    def holds_secret(self) -> bool:
        """Whether the file with this entry must not be readable by other users."""
        return any(getattr(self.settings, name) for name in SECRETS)


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


def _scalar(key: str, value: bool | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
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
    shown: dict[str, Any] = {"module": PROVIDER_MODULE}
    shown.update({switch: _visible(data[switch]) for switch in SWITCHES if switch in data})
    config, before_config = _config(data), _config(before or {})
    shown["config"] = {
        key: _masked(key, value, before_config) for key, value in config.items() if str(key).isidentifier()
    }
    return entry_lines(shown, column)


def _config(data: Mapping[str, Any]) -> Mapping[str, Any]:
    config = data.get("config")
    return config if isinstance(config, Mapping) else {}


def _masked(key: str, value: Any, before: Mapping[str, Any]) -> bool | str:
    if _is_public(key, value):
        return _visible(value)
    return CHANGED_MASK if before.get(key, value) != value else MASK


def shown_value(key: str, value: Any) -> bool | str:
    """The value for a message; MASK if it is a secret or may contain one."""
    return _visible(value) if _is_public(key, value) else MASK


def _is_public(key: str, value: Any) -> bool:
    # A key that the provider does not know may hold anything, including a secret.
    with_password = key == "endpoint_url" and "@" in str(value)
    return key in SWITCHES or (key in CONFIG_KEYS and key not in SECRETS and not with_password)


def _visible(value: Any) -> bool | str:
    return value if isinstance(value, bool) or (isinstance(value, str) and value.isprintable()) else MASK
