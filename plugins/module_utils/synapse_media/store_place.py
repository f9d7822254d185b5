# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The place in S3 that decides whether media is found: bucket, prefix, endpoint and customer key."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from .errors import ConfigurationError
from .store import StoreSettings

FIELDS = ("bucket", "prefix", "endpoint_url", "customer_key")
SETTINGS = {
    "bucket": "synapse_s3_bucket",
    "prefix": "synapse_s3_prefix",
    "endpoint_url": "synapse_s3_endpoint_url",
    "customer_key": "synapse_s3_sse_customer_key",
}
CONFIRMATION = "synapse_s3_confirm_location"

_SCHEME = "pbkdf2-sha256"
# Slow enough that a key somebody made up is not guessed from its hash, and 0.1 s for us.
_ITERATIONS = 100_000
_NAME_DIGITS = 16
_DEFAULT_PORTS = {"http": 80, "https": 443}


def endpoint_identity(url: str | None) -> str:
    """The endpoint in one spelling, empty for AWS's own: two spellings of one endpoint are one place."""
    written = (url or "").strip()
    try:
        parts = urlsplit(written)
        port = parts.port
    except ValueError:
        return written
    if not parts.scheme or not parts.hostname:
        return written.rstrip("/")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    # urlsplit has lowered the scheme and the host; a name and a password would make it another endpoint.
    user, at, _address = parts.netloc.rpartition("@")
    shown_port = "" if port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{port}"
    return f"{parts.scheme}://{user}{at}{host}{shown_port}{parts.path.rstrip('/')}"


@dataclass(frozen=True)
class Difference:
    """One part of the place that is another than before. The values of a customer key are never shown."""

    field: str
    before: str
    now: str

    @property
    def setting(self) -> str:
        return SETTINGS[self.field]

    def __str__(self) -> str:
        if self.field == "customer_key":
            return f"{self.setting} is {self.now}, but media of this server was stored {self.before}"
        before, now = (
            "AWS" if self.field == "endpoint_url" and not value else repr(value) for value in (self.before, self.now)
        )
        if self.field == "prefix" and self.before and self.before == self.now.strip("/") + "/":
            return (
                f"{self.setting} is {now}, but media of this server is at {before} (earlier releases added the slash; "
                f"the prefix is now taken as it is written, so write {self.setting}: {before})"
            )
        return f"{self.setting} is {now}, but media of this server is at {before}"


@dataclass(frozen=True)
class StorePlace:
    """Where media is, and with which key it can be read there."""

    bucket: str
    prefix: str
    endpoint_url: str
    customer_key: str = field(default="", repr=False)

    @classmethod
    def of(cls, settings: StoreSettings) -> StorePlace:
        return cls(
            bucket=settings.bucket,
            prefix=settings.prefix,
            endpoint_url=endpoint_identity(settings.endpoint_url),
            customer_key=settings.sse_customer_key or "",
        )

    def name(self) -> str:
        """What an operator writes to confirm this place and no other; tells the key from others without showing it."""
        base = f"{self.endpoint_url}/{self.bucket}" if self.endpoint_url else f"s3://{self.bucket}"
        place = f"{base}/{self.prefix}" if self.prefix else base
        if not self.customer_key:
            return place
        return f"{place}#customer-key={_hash(self.customer_key, place)[:_NAME_DIGITS]}"

    def confirmed_by(self, confirmation: str | None) -> bool:
        return bool(confirmation) and hmac.compare_digest(str(confirmation).strip().encode(), self.name().encode())

    def record(self) -> dict[str, str]:
        """The place as it is written down: the customer key as a salted hash alone."""
        key = ""
        if self.customer_key:
            salt = secrets.token_hex(16)
            key = f"{_SCHEME}${_ITERATIONS}${salt}${_hash(self.customer_key, salt)}"
        return {"bucket": self.bucket, "prefix": self.prefix, "endpoint_url": self.endpoint_url, "customer_key": key}

    def differences(self, before: Mapping[str, object]) -> list[Difference]:
        """What differs from a record. A part that the record of an earlier release lacks counts as unchanged."""
        found = [
            Difference(name, str(before[name]), str(getattr(self, name)))
            for name in ("bucket", "prefix")
            if name in before and before[name] != getattr(self, name)
        ]
        endpoint = before.get("endpoint_url")
        if endpoint is not None and endpoint_identity(str(endpoint)) != self.endpoint_url:
            found.append(Difference("endpoint_url", str(endpoint), self.endpoint_url))
        key = before.get("customer_key")
        if key is not None and not self._has_key(str(key)):
            now = ("another key" if key else "set") if self.customer_key else "empty"
            found.append(Difference("customer_key", f"{'with' if key else 'without'} a customer key", now))
        return found

    def _has_key(self, recorded: str) -> bool:
        """Whether the record's hash is the one of this key; an empty record stands for no key."""
        if not recorded or not self.customer_key:
            return not recorded and not self.customer_key
        scheme, dummy, rest = recorded.partition("$")
        iterations, dummy, rest = rest.partition("$")
        salt, dummy, digest = rest.partition("$")
        if scheme != _SCHEME or not iterations.isdecimal() or not 0 < int(iterations) <= 100 * _ITERATIONS:
            return False
        return hmac.compare_digest(_hash(self.customer_key, salt, int(iterations)), digest)


def _hash(key: str, salt: str, iterations: int = _ITERATIONS) -> str:
    return hashlib.pbkdf2_hmac("sha256", key.encode(), salt.encode(), iterations).hex()


def moved(differences: list[Difference], place: StorePlace, where: str, confirmation: str | None) -> str:
    """The sentence that refuses another place, with both ways out."""
    wrong = (
        f" {CONFIRMATION} is {confirmation!r}, which names another place."
        if confirmation and not place.confirmed_by(confirmation)
        else ""
    )
    return (
        f"{'; '.join(map(str, differences))} ({where} says so). Synapse would not find that media at the new place. "
        f"Set it back. If every object is at the new place and can be read there with these settings, run once with "
        f"{CONFIRMATION}: {place.name()!r}.{wrong}"
    )


class PlaceRecord:
    """The file that remembers the place. It holds no secret: of the customer key a salted hash."""

    def __init__(self, path: str | Path, place: StorePlace) -> None:
        self.path = Path(path)
        self.place = place

    def read(self) -> dict[str, object] | None:
        """What the file says, None where there is none; raises ConfigurationError where it makes no sense."""
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(
                f"{self.path} cannot be read ({error.strerror}). Give it to the user this runs as."
            ) from error
        except ValueError:
            content = None
        named = isinstance(content, dict) and all(isinstance(content.get(name), str) for name in ("bucket", "prefix"))
        if not isinstance(content, dict) or not named:
            raise ConfigurationError(
                f"{self.path} says nothing that makes sense about where the media is. Make sure that the bucket, "
                "prefix, endpoint and customer key are the ones used before, then remove the file."
            )
        return content

    def is_current(self, before: Mapping[str, object] | None) -> bool:
        """Whether the file says all of this place already."""
        return before is not None and set(FIELDS) <= set(before) and not self.place.differences(before)

    def text(self) -> str:
        return json.dumps(self.place.record(), indent=2, sort_keys=True) + "\n"


def shown_record(record: Mapping[str, object] | None) -> str:
    """A record as a diff shows it: of the customer key no more than whether there is one."""
    if record is None:
        return ""
    shown = {name: record[name] for name in FIELDS if name in record}
    if shown.get("customer_key"):
        shown["customer_key"] = "********"
    return json.dumps(shown, indent=2, sort_keys=True) + "\n"
