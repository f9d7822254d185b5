# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The S3 entry that is there beside the one that is to be: what would cut media off, and what merely changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.store import prefix_warning
from ..synapse_media.store_place import CONFIRMATION, StorePlace, endpoint_identity
from .entry import CONFIG_KEYS, SECRETS, SWITCHES, ProviderEntry, shown_value
from .flow_entry import MARK

# What the provider takes where the entry says nothing.
_DEFAULTS = {"prefix": "", "sse_customer_algo": "AES256", "storage_class": "STANDARD"}
_PLACE = ("bucket", "prefix", "endpoint_url", "sse_customer_key")
_CREDENTIALS = ("access_key_id", "secret_access_key", "session_token")
# The provider takes these two as text, however YAML reads them.
_AS_TEXT = ("region_name", "access_key_id")


class Comparison:
    """An entry that was there, ours or the operator's, beside ours as it shall be."""

    def __init__(self, before: Mapping[str, Any], entry: ProviderEntry, path: str, ours: bool) -> None:
        self._entry = entry
        self._path = path
        self._ours = ours
        self._before = before
        config = before.get("config")
        self._theirs: Mapping[str, Any] = config if isinstance(config, Mapping) else {}
        self._after: Mapping[str, Any] = entry.data()["config"]
        self._differing = [key for key in CONFIG_KEYS if self._differs(key)]

    def refuse_another_place(self, confirmation: str | None) -> None:
        """Raises ConfigurationError where media would be looked for elsewhere, or not be readable there."""
        self._refuse_prefix_without_text()
        place = StorePlace.of(self._entry.settings)
        decisive = [key for key in self._differing if key in self._decisive()]
        if not decisive or place.confirmed_by(confirmation):
            return
        wrong = f" {CONFIRMATION} is {confirmation!r}, which names another place." if confirmation else ""
        raise ConfigurationError(
            f"{self._path} has an S3 entry {'; '.join(self._sentence(key) for key in decisive)}. "
            "Media that is in the bucket would become unreachable, so nothing was changed. "
            f"{' '.join(self._remedy(key) for key in decisive)} "
            "If every object is at the new place and can be read there with these settings, run once with "
            f"{CONFIRMATION}: {place.name()!r}.{wrong}"
        )

    def warnings(self) -> list[str]:
        """What else changes for Synapse, named before it does. Our own entry's changes are the operator's own."""
        if self._ours:
            return []
        found = [self._switch(name) for name in SWITCHES if bool(self._before.get(name)) != getattr(self._entry, name)]
        for key in self._differing:
            if key in _CREDENTIALS:
                found.append(f"{key} changes: {self._credential(key)}")
            elif key not in self._decisive():
                found.append(f"{key} changes from {self._shown(key)} to {self._now(key)} (synapse_s3_{key})")
        unknown = [
            *(str(key) for key in self._before if key not in ("module", "config", MARK, *SWITCHES)),
            *(f"config.{key}" for key in self._theirs if key not in CONFIG_KEYS),
        ]
        if unknown:
            found.append(f"{', '.join(map(_name, unknown))} is left out: the storage provider takes no notice of it")
        return [f"The S3 entry in {self._path} is taken over: {sentence}." for sentence in found]

    def _decisive(self) -> tuple[str, ...]:
        """The keys whose change may cut media off; with the operator's own entry, also where it names a region."""
        keys: tuple[str, ...] = _PLACE
        if self._theirs.get("sse_customer_key"):
            keys = (*keys, "sse_customer_algo")
        if not self._ours and self._theirs.get("region_name"):
            keys = (*keys, "region_name")
        return keys

    def _differs(self, key: str) -> bool:
        before, after = self._value(key), self._after.get(key, _DEFAULTS.get(key))
        if key == "bucket":
            # Synapse does not start without one, so nothing was ever stored by such an entry.
            return before is not None and before != after
        if key == "endpoint_url":
            return endpoint_identity(str(before or "")) != endpoint_identity(str(after or ""))
        if key == "sse_customer_algo" and not (
            self._theirs.get("sse_customer_key") and "sse_customer_key" in self._after
        ):
            return False
        return (before or None) != (after or None)

    def _value(self, key: str) -> Any:
        value = self._theirs.get(key)
        if value is None:
            return _DEFAULTS.get(key)
        return str(value) if key in _AS_TEXT else value

    def _refuse_prefix_without_text(self) -> None:
        prefix = self._theirs.get("prefix")
        if prefix is not None and not isinstance(prefix, str):
            kind = "true or false" if isinstance(prefix, bool) else "a number"
            if not isinstance(prefix, (bool, int, float)):
                kind = f"a {type(prefix).__name__}"
            raise ConfigurationError(
                f"{self._path} has an S3 entry with the prefix {prefix!r}, which YAML reads as {kind}; the storage "
                f"provider takes text only and stores nothing with it. Put it in quotes there, such as '{prefix}/', "
                "and write the same in synapse_s3_prefix."
            )

    def _sentence(self, key: str) -> str:
        setting = f"synapse_s3_{key}"
        if key in SECRETS:
            theirs = "a customer key" if self._theirs.get(key) else "no customer key"
            now = "another one" if self._theirs.get(key) and self._after.get(key) else "empty"
            return f"with {theirs}, and {setting} is {now if self._theirs.get(key) else 'set'}"
        words = {"bucket": "for the bucket", "prefix": "with the prefix", "endpoint_url": "for the endpoint"}
        return f"{words.get(key, f'with the {key}')} {self._shown(key)}, and {setting} is {self._now(key)}"

    def _remedy(self, key: str) -> str:
        setting = f"synapse_s3_{key}"
        if key in SECRETS:
            if self._theirs.get(key):
                return f"Set {setting} to the key in the entry, which is not shown here."
            return f"Leave {setting} empty."
        if not self._theirs.get(key) and key != "prefix":
            return f"Leave {setting} empty."
        return f"Set {setting} to it ({setting}: {self._shown(key)})."

    def _shown(self, key: str) -> str:
        value = self._value(key)
        if value is None:
            return "none"
        shown = shown_value(key, value)
        return repr(shown) if isinstance(shown, str) else str(shown)

    def _now(self, key: str) -> str:
        value = self._after.get(key, _DEFAULTS.get(key))
        return "empty" if value is None else repr(value)

    def _switch(self, name: str) -> str:
        before = self._before.get(name)
        written = "not written, which is false" if name not in self._before else str(shown_value(name, before)).lower()
        setting = f"synapse_s3_storage_provider_{name}"
        return f"{name} changes from {written} to {str(getattr(self._entry, name)).lower()} ({setting})"

    def _credential(self, key: str) -> str:
        if not self._after.get(key):
            return f"the entry has one, and synapse_s3_{key} is empty"
        there = "another than in the entry" if self._theirs.get(key) else "set, and the entry has none"
        return f"synapse_s3_{key} is {there}"


def new_place_warnings(entry: ProviderEntry) -> list[str]:
    """For a place that no entry names yet."""
    warning = prefix_warning(entry.settings.prefix)
    return [warning] if warning else []


def _name(key: str) -> str:
    """A key as it can be shown: whoever mistypes may have put a secret in its place."""
    return key if key.replace(".", "_").replace("-", "_").isidentifier() and len(key) <= 64 else "a key that is no name"
