# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the media lives in S3, and what a child process needs to know of it. Costs no import of boto3."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigurationError

PROVIDER_STORAGE_CLASSES = ("STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "INTELLIGENT_TIERING")
STORAGE_CLASSES = (*PROVIDER_STORAGE_CLASSES, "ONEZONE_IA")
# What this collection's own engine and the resilient storage provider take beside these: all that can be read at once.
ALL_STORAGE_CLASSES = (*STORAGE_CLASSES, "GLACIER_IR")
ADDRESSING_STYLES = ("auto", "path", "virtual")

# boto3 since 1.36 sends trailing checksums by default, which many stores refuse.
CHECKSUM_POLICY = "when_required"

_AES256_KEY_BYTES = 32
_BUCKET_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}|arn:[A-Za-z0-9:/._-]+")


def checked_prefix(prefix: Any) -> str:
    """The prefix as it is written: the provider puts it in front of a path verbatim. Raises ConfigurationError."""
    if prefix is None:
        return ""
    if not isinstance(prefix, str):
        raise ConfigurationError(
            f"synapse_s3_prefix is {prefix!r}, which YAML reads as {_kind(prefix)} and not as text. "
            f"Put it in quotes, with a slash at its end: '{str(prefix).strip('/')}/'."
        )
    if any(part in (".", "..") for part in prefix.split("/")):
        raise ConfigurationError(
            f"synapse_s3_prefix is {prefix!r}, and tools do not agree on what '.' and '..' mean in a key. "
            "Choose a prefix without them, such as 'media/'."
        )
    return prefix


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, (int, float)) else f"a {type(value).__name__}"


def prefix_warning(prefix: str) -> str | None:
    """What is unusual about a prefix that nothing has been stored under yet; None if it is a plain folder."""
    if not prefix:
        return None
    folder = "/".join(part for part in prefix.split("/") if part) + "/"
    if prefix == folder:
        return None
    if folder == "/":
        return (
            f"synapse_s3_prefix is {prefix!r}: keys will begin with a slash. Leave it empty to store without a prefix."
        )
    return (
        f"synapse_s3_prefix is {prefix!r} and is put in front of each path as it is: keys will begin with "
        f"'{prefix}local_content/'. If a folder is meant, write {folder!r} before anything is stored."
    )


@dataclasses.dataclass(frozen=True)
class StoreSettings:
    """One validated location in S3. Its fields carry the names of the settings, without ``synapse_s3_``."""

    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    region_name: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = dataclasses.field(default=None, repr=False)
    session_token: str | None = dataclasses.field(default=None, repr=False)
    sse_customer_key: str | None = dataclasses.field(default=None, repr=False)
    sse_customer_algo: str = "AES256"
    storage_class: str = "STANDARD"
    addressing_style: str = "auto"
    ca_bundle: str | None = None

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> StoreSettings:
        """Settings as an operator writes them: an empty string or None means not set."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(mapping) - known)
        if unknown:
            raise ConfigurationError(
                f"Unknown S3 setting {', '.join(unknown)}. The settings are: {', '.join(sorted(known))}."
            )
        given = {name: str(value) for name, value in mapping.items() if value is not None and value != ""}
        # A number would be turned into other text than the operator sees: 0123 is 83 to YAML.
        given["prefix"] = checked_prefix(mapping.get("prefix"))
        given.setdefault("bucket", "")
        return cls(**given)

    def __post_init__(self) -> None:
        checked_prefix(self.prefix)
        _refuse_control_characters(self)
        _check_bucket(self.bucket)
        _check_endpoint(self.endpoint_url)
        _check_credentials(self)
        _check_sse(self)
        _check_sse_transport(self)
        _check_choice("storage_class", self.storage_class, ALL_STORAGE_CLASSES)
        _check_choice("addressing_style", self.addressing_style, ADDRESSING_STYLES)


def _refuse_control_characters(settings: StoreSettings) -> None:
    # A line break would smuggle a second setting into an environment file or an AWS configuration file.
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if value and any(ord(character) < 32 or ord(character) == 127 for character in value):
            raise ConfigurationError(
                f"synapse_s3_{field.name} contains a line break or another control character. Write it on one line."
            )


def _check_bucket(bucket: str) -> None:
    if not bucket:
        raise ConfigurationError("synapse_s3_bucket is not set. Set it to the name of the bucket that holds the media.")
    if not _BUCKET_NAME.fullmatch(bucket):
        raise ConfigurationError(
            f"synapse_s3_bucket is {bucket!r}, which is not a bucket name. Give the bare name, without 's3://'; "
            "a folder inside the bucket belongs in synapse_s3_prefix."
        )


def _check_endpoint(endpoint_url: str | None) -> None:
    if endpoint_url is None:
        return
    try:
        parts = urlsplit(endpoint_url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        # Not echoed: a URL that does not parse may still hold a password.
        raise ConfigurationError(
            "synapse_s3_endpoint_url is not a URL with a scheme and a host. "
            "Write it in full, such as 'https://s3.example.org'."
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigurationError(
            "synapse_s3_endpoint_url holds a user name, a query or a fragment. "
            "Keep the scheme, host, port and path only; keys belong in synapse_s3_access_key_id and "
            "synapse_s3_secret_access_key."
        )


def _check_credentials(settings: StoreSettings) -> None:
    pair = {"access_key_id": settings.access_key_id, "secret_access_key": settings.secret_access_key}
    missing = [name for name, value in pair.items() if not value]
    if len(missing) == 1:
        present = next(name for name in pair if name not in missing)
        raise ConfigurationError(
            f"synapse_s3_{present} is set but synapse_s3_{missing[0]} is not. "
            "Set both, or neither to use the instance's role."
        )
    if missing and settings.session_token:
        raise ConfigurationError(
            "synapse_s3_session_token is set without keys. "
            "Set synapse_s3_access_key_id and synapse_s3_secret_access_key too, or leave the token out."
        )


def _check_sse(settings: StoreSettings) -> None:
    key = settings.sse_customer_key
    if key and settings.sse_customer_algo == "AES256" and len(key.encode()) != _AES256_KEY_BYTES:
        raise ConfigurationError(
            f"synapse_s3_sse_customer_key is {len(key.encode())} bytes long, and AES256 takes {_AES256_KEY_BYTES}. "
            "Give the key itself as 32 characters, not its base64 or hexadecimal form."
        )


def _check_sse_transport(settings: StoreSettings) -> None:
    """A customer key goes along with every request: over plain HTTP anybody on the way could read it."""
    if not settings.sse_customer_key or settings.endpoint_url is None:
        return
    parts = urlsplit(settings.endpoint_url)
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            "synapse_s3_sse_customer_key is set and synapse_s3_endpoint_url begins with 'http://', so the key would be "
            "sent over the network for anybody to read. Use the store's https:// endpoint, or leave the key out."
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigurationError(f"synapse_s3_{name} is {value!r}. Choose one of {', '.join(choices)}.")


def sse_arguments(settings: StoreSettings) -> dict[str, str]:
    """What head_object, get_object, put_object and upload_part need for objects encrypted with our own key."""
    if not settings.sse_customer_key:
        return {}
    return {"SSECustomerKey": settings.sse_customer_key, "SSECustomerAlgorithm": settings.sse_customer_algo}


def child_environment(settings: StoreSettings) -> dict[str, str]:
    """Variables for a child with a bare boto3 client. The addressing style has none: see aws_config_text()."""
    candidates = {
        "AWS_ACCESS_KEY_ID": settings.access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.secret_access_key,
        "AWS_SESSION_TOKEN": settings.session_token,
        "AWS_DEFAULT_REGION": settings.region_name,
        "AWS_CA_BUNDLE": settings.ca_bundle,
        "AWS_REQUEST_CHECKSUM_CALCULATION": CHECKSUM_POLICY,
        "AWS_RESPONSE_CHECKSUM_VALIDATION": CHECKSUM_POLICY,
    }
    return {name: value for name, value in candidates.items() if value}


def aws_config_text(settings: StoreSettings) -> str:
    """Contents of the file that AWS_CONFIG_FILE names. It holds no secret."""
    lines = ["[default]"]
    if settings.region_name:
        lines.append(f"region = {settings.region_name}")
    if settings.ca_bundle:
        lines.append(f"ca_bundle = {settings.ca_bundle}")
    lines += [
        f"request_checksum_calculation = {CHECKSUM_POLICY}",
        f"response_checksum_validation = {CHECKSUM_POLICY}",
        "s3 =",
        f"    addressing_style = {settings.addressing_style}",
    ]
    return "\n".join(lines) + "\n"
