# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare the present S3 entry with the new one: refuse what would make media unreachable, name other changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.settings.location import CONFIRMATION, StoreLocation, endpoint_identity
from ..synapse_media.settings.store import prefix_warning
from .entry import (
    CONFIG_KEYS,
    OPTIONS_VARIABLE,
    RESILIENT_OPTIONS,
    RESILIENT_SETTINGS,
    SECRETS,
    SWITCHES,
    ProviderEntry,
    shown_value,
)
from .flow_entry import MARK

# The defaults of the provider.
_DEFAULTS = {"prefix": "", "sse_customer_algo": "AES256", "storage_class": "STANDARD"}
_LOCATION = ("bucket", "prefix", "endpoint_url", "sse_customer_key")
_CREDENTIALS = ("access_key_id", "secret_access_key", "session_token")
# The provider converts these two to text, whatever type YAML gives them.
_AS_TEXT = ("region_name", "access_key_id")


class Comparison:
    """The entry in the file `path`, before, and the new one. `managed`: whether this collection wrote the old one."""

    def __init__(self, before: Mapping[str, Any], entry: ProviderEntry, path: str, managed: bool) -> None:
        self._entry = entry
        self._path = path
        self._managed = managed
        self._before = before
        config = before.get("config")
        self._old: Mapping[str, Any] = config if isinstance(config, Mapping) else {}
        self._new: Mapping[str, Any] = entry.data()["config"]
        self._differing = [key for key in CONFIG_KEYS if self._differs(key)]

    def refuse_changed_location(self, confirmation: str | None) -> None:
        """Raises ConfigurationError if Synapse would look for media elsewhere, or could not read it there.

        `confirmation`: the name of the new location, if the operator has confirmed it.
        """
        self._refuse_prefix_that_is_not_text()
        location = StoreLocation.of(self._entry.settings)
        changed = [key for key in self._differing if key in self._location_keys()]
        if not changed or location.confirmed_by(confirmation):
            return
        wrong = f" {CONFIRMATION} is {confirmation!r}, which names another location." if confirmation else ""
        raise ConfigurationError(
            f"{self._path} has an S3 entry {'; '.join(self._sentence(key) for key in changed)}. "
            "Media that is in the bucket would become unreachable, so nothing was changed. "
            f"{' '.join(self._remedy(key) for key in changed)} "
            "If every object is at the new location and can be read there with these settings, run once with "
            f"{CONFIRMATION}: {location.name()!r}.{wrong}"
        )

    def warnings(self) -> list[str]:
        """What else changes when an entry of the operator's is replaced; nothing for an entry of this collection."""
        if self._managed:
            return []
        found = [self._switch(name) for name in SWITCHES if bool(self._before.get(name)) != getattr(self._entry, name)]
        for key in self._differing:
            if key in _CREDENTIALS:
                found.append(f"{key} changes: {self._credential(key)}")
            elif key not in self._location_keys():
                found.append(f"{key} changes from {self._shown(key)} to {self._new_value(key)} (synapse_s3_{key})")
        unknown = [
            *(str(key) for key in self._before if key not in ("module", "config", MARK, *SWITCHES)),
            *(f"config.{key}" for key in self._old if key not in CONFIG_KEYS and key not in self._new),
        ]
        if unknown:
            found.append(f"{', '.join(map(_shown_key, unknown))} is left out: {self._reason_left_out(unknown)}")
        if self._before.get("module") not in (None, self._entry.module):
            found.append(f"its module changes to {self._entry.module} (synapse_s3_storage_provider)")
        return [f"The S3 entry in {self._path} is taken over: {sentence}." for sentence in found]

    def _reason_left_out(self, names: list[str]) -> str:
        if any(name.partition(".")[2] in (*RESILIENT_OPTIONS, *RESILIENT_SETTINGS) for name in names):
            return f"only the resilient storage provider takes it, from {OPTIONS_VARIABLE}"
        return "the storage provider ignores it"

    def _location_keys(self) -> tuple[str, ...]:
        """The keys whose change may make media unreachable; for an entry of the operator's the region as well."""
        keys: tuple[str, ...] = _LOCATION
        if self._old.get("sse_customer_key"):
            keys = (*keys, "sse_customer_algo")
        if not self._managed and self._old.get("region_name"):
            keys = (*keys, "region_name")
        return keys

    def _differs(self, key: str) -> bool:
        before, after = self._old_value(key), self._new.get(key, _DEFAULTS.get(key))
        if key == "bucket":
            # Synapse does not start with an entry without a bucket, so that entry never stored anything.
            return before is not None and before != after
        if key == "endpoint_url":
            return endpoint_identity(str(before or "")) != endpoint_identity(str(after or ""))
        if key == "sse_customer_algo" and not (self._old.get("sse_customer_key") and "sse_customer_key" in self._new):
            return False
        return (before or None) != (after or None)

    def _old_value(self, key: str) -> Any:
        value = self._old.get(key)
        if value is None:
            return _DEFAULTS.get(key)
        return str(value) if key in _AS_TEXT else value

    def _refuse_prefix_that_is_not_text(self) -> None:
        prefix = self._old.get("prefix")
        if prefix is not None and not isinstance(prefix, str):
            kind = "true or false" if isinstance(prefix, bool) else "a number"
            if not isinstance(prefix, (bool, int, float)):
                kind = f"a {type(prefix).__name__}"
            raise ConfigurationError(
                f"{self._path} has an S3 entry with the prefix {prefix!r}, which YAML reads as {kind}; the storage "
                f"provider accepts only text and stores nothing with it. Put it in quotes there, such as '{prefix}/', "
                "and set synapse_s3_prefix to the same."
            )

    def _sentence(self, key: str) -> str:
        setting = f"synapse_s3_{key}"
        if key in SECRETS:
            if not self._old.get(key):
                return f"with no customer key, and {setting} is set"
            return f"with a customer key, and {setting} is {'another one' if self._new.get(key) else 'empty'}"
        words = {"bucket": "for the bucket", "prefix": "with the prefix", "endpoint_url": "for the endpoint"}
        return f"{words.get(key, f'with the {key}')} {self._shown(key)}, and {setting} is {self._new_value(key)}"

    def _remedy(self, key: str) -> str:
        setting = f"synapse_s3_{key}"
        if key in SECRETS and self._old.get(key):
            return f"Set {setting} to the key in the entry, which is not shown here."
        if not self._old.get(key) and key != "prefix":
            return f"Leave {setting} empty."
        return f"Set {setting} to it ({setting}: {self._shown(key)})."

    def _shown(self, key: str) -> str:
        value = self._old_value(key)
        if value is None:
            return "none"
        shown = shown_value(key, value)
        return repr(shown) if isinstance(shown, str) else str(shown)

    def _new_value(self, key: str) -> str:
        value = self._new.get(key, _DEFAULTS.get(key))
        return "empty" if value is None else repr(value)

    def _switch(self, name: str) -> str:
        before = self._before.get(name)
        written = "not written, which is false" if name not in self._before else str(shown_value(name, before)).lower()
        setting = f"synapse_s3_storage_provider_{name}"
        return f"{name} changes from {written} to {str(getattr(self._entry, name)).lower()} ({setting})"

    def _credential(self, key: str) -> str:
        if not self._new.get(key):
            return f"the entry has one, and synapse_s3_{key} is empty"
        difference = "another than in the entry" if self._old.get(key) else "set, and the entry has none"
        return f"synapse_s3_{key} is {difference}"


def new_location_warnings(entry: ProviderEntry) -> list[str]:
    """Warnings about the prefix, for a configuration without an S3 entry to compare with."""
    warning = prefix_warning(entry.settings.prefix)
    return [warning] if warning else []


def _shown_key(key: str) -> str:
    """The key for a message; not if it is no identifier, because it may then be a misplaced secret."""
    return key if key.replace(".", "_").replace("-", "_").isidentifier() and len(key) <= 64 else "a key that is no name"
