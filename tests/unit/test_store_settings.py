# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which settings are accepted, and with which message others are refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import (
    PROVIDER_STORAGE_CLASSES,
    STORAGE_CLASSES,
    StoreSettings,
    checked_prefix,
    prefix_warning,
    sse_arguments,
)

SSE_KEY = "0123456789abcdef0123456789abcdef"
KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "the-secret"}


@pytest.mark.parametrize(
    "written",
    ["", "media/", "media", "media//", "/media", "/a/b/", "a//b", ".hidden", "example.org", "synapse", "/", " a"],
)
def test_a_prefix_is_used_as_written(written: str) -> None:
    assert checked_prefix(written) == written
    assert StoreSettings.from_mapping({"bucket": "media", "prefix": written}).prefix == written
    assert StoreSettings(bucket="media", prefix=written).prefix == written


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("media", ["'medialocal_content/'", "write 'media/'"]),
        ("/media/", ["'/media/local_content/'", "write 'media/'"]),
        ("a//", ["'a//local_content/'", "write 'a/'"]),
        ("//", ["begin with a slash", "Leave it empty"]),
    ],
)
def test_an_unusual_prefix_is_explained(written: str, words: list[str]) -> None:
    for part in words:
        assert part in str(prefix_warning(written))


@pytest.mark.parametrize("written", ["", "media/", "a/b/", ".hidden/", "example.org/"])
def test_a_usual_prefix_gives_no_warning(written: str) -> None:
    assert prefix_warning(written) is None


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        (2024, "is 2024, which YAML reads as a number and not as text. Put it in quotes"),
        (True, "is True, which YAML reads as true or false"),
        (1.5, "a number"),
        (["a"], "a list"),
    ],
)
def test_a_prefix_that_is_not_text_is_explained(prefix: object, words: str) -> None:
    for make in (
        lambda: StoreSettings.from_mapping({"bucket": "media", "prefix": prefix}),
        lambda: StoreSettings(bucket="media", prefix=prefix),  # type: ignore[arg-type]
    ):
        with pytest.raises(ConfigurationError, match="synapse_s3_prefix") as refusal:
            make()
        assert words in str(refusal.value)


@pytest.mark.parametrize("prefix", ["..", "a/../b", "./a", "a/."])
def test_prefix_with_dot_folders_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match=r"synapse_s3_prefix"):
        checked_prefix(prefix)


def test_empty_strings_and_none_count_as_unset() -> None:
    empty: dict[str, Any] = dict.fromkeys(
        ["prefix", "endpoint_url", "region_name", "access_key_id", "secret_access_key", "session_token"], ""
    )
    settings = StoreSettings.from_mapping(
        {
            **empty,
            "bucket": "media",
            "sse_customer_key": None,
            "storage_class": "",
            "sse_customer_algo": "",
            "ca_bundle": "",
        }
    )
    assert settings == StoreSettings(bucket="media")
    assert settings.storage_class == "STANDARD"
    assert settings.sse_customer_algo == "AES256"
    assert settings.endpoint_url is None


@pytest.mark.parametrize(
    ("changes", "named", "remedy"),
    [
        ({"bucket": ""}, "synapse_s3_bucket is not set", "name of the bucket"),
        ({"bucket": "s3://media"}, "synapse_s3_bucket is 's3://media'", "without 's3://'"),
        ({"bucket": "media/folder"}, "synapse_s3_bucket is 'media/folder'", "synapse_s3_prefix"),
        ({"endpoint_url": "s3.example.org"}, "synapse_s3_endpoint_url", "https://s3.example.org"),
        ({"endpoint_url": "s3.example.org:9000"}, "synapse_s3_endpoint_url", "https://s3.example.org"),
        ({"endpoint_url": "//s3.example.org"}, "synapse_s3_endpoint_url", "scheme"),
        ({"endpoint_url": "https://"}, "synapse_s3_endpoint_url", "host"),
        ({"endpoint_url": "https://s3.example.org:port"}, "synapse_s3_endpoint_url", "scheme and a host"),
        ({"endpoint_url": "https://s3.example.org/?a=b"}, "synapse_s3_endpoint_url", "query"),
        (
            {"secret_access_key": ""},
            "synapse_s3_access_key_id is set but synapse_s3_secret_access_key is not",
            "instance",
        ),
        ({"access_key_id": ""}, "synapse_s3_secret_access_key is set but synapse_s3_access_key_id is not", "instance"),
        (
            {"access_key_id": "", "secret_access_key": "", "session_token": "t"},
            "synapse_s3_session_token is set without keys",
            "synapse_s3_access_key_id",
        ),
        ({"storage_class": "GLACIER"}, "synapse_s3_storage_class is 'GLACIER'", "INTELLIGENT_TIERING"),
        ({"storage_class": "standard"}, "synapse_s3_storage_class is 'standard'", "STANDARD"),
        ({"addressing_style": "dns"}, "synapse_s3_addressing_style is 'dns'", "virtual"),
        ({"sse_customer_key": "too short"}, "synapse_s3_sse_customer_key is 9 bytes long", "32 characters"),
        ({"region_name": "eu\nendpoint_url = x"}, "synapse_s3_region_name contains a line break", "one line"),
        ({"secret_access_key": "a\nB=c"}, "synapse_s3_secret_access_key contains a line break", "one line"),
        ({"buckets": "media"}, "Unknown S3 setting buckets", "bucket"),
    ],
)
def test_wrong_setting_is_refused_with_its_name_and_the_remedy(
    changes: dict[str, str], named: str, remedy: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        StoreSettings.from_mapping({"bucket": "media", **KEYS, **changes})
    assert named in str(refusal.value)
    assert remedy in str(refusal.value)
    assert refusal.value.exit_status == 2


@pytest.mark.parametrize(
    "secret",
    [
        {"endpoint_url": "https://user:hunter2hunter2@s3.example.org"},
        {"endpoint_url": "user:hunter2hunter2@s3.example.org"},
        {"access_key_id": "", "secret_access_key": "hunter2hunter2"},
        {"sse_customer_key": "hunter2hunter2"},
        {"session_token": "hunter2hunter2\n"},
    ],
)
def test_refusal_does_not_echo_a_secret(secret: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        StoreSettings.from_mapping({"bucket": "media", **KEYS, **secret})
    assert "hunter2" not in str(refusal.value)


def test_representation_holds_no_secret() -> None:
    settings = StoreSettings(bucket="media", **KEYS, session_token="the-token", sse_customer_key=SSE_KEY)
    shown = repr(settings)
    assert "media" in shown
    for secret in ("the-secret", "the-token", SSE_KEY):
        assert secret not in shown


@pytest.mark.parametrize("storage_class", STORAGE_CLASSES)
def test_every_class_of_the_script_is_accepted(storage_class: str) -> None:
    assert StoreSettings(bucket="media", storage_class=storage_class).storage_class == storage_class


def test_the_provider_accepts_one_class_less_than_the_script() -> None:
    assert set(STORAGE_CLASSES) - set(PROVIDER_STORAGE_CLASSES) == {"ONEZONE_IA"}


@pytest.mark.parametrize("endpoint", ["https://s3.example.org", "http://127.0.0.1:9000", "https://[::1]:9000/path"])
def test_endpoints_with_a_scheme_are_accepted(endpoint: str) -> None:
    assert StoreSettings(bucket="media", endpoint_url=endpoint).endpoint_url == endpoint


def test_customer_key_counts_bytes_not_characters() -> None:
    with pytest.raises(ConfigurationError, match="33 bytes"):
        StoreSettings(bucket="media", sse_customer_key=SSE_KEY[:-1] + "é")


def test_customer_key_is_sent_with_its_algorithm() -> None:
    assert sse_arguments(StoreSettings(bucket="media")) == {}
    assert sse_arguments(StoreSettings(bucket="media", sse_customer_key=SSE_KEY)) == {
        "SSECustomerKey": SSE_KEY,
        "SSECustomerAlgorithm": "AES256",
    }


@pytest.mark.parametrize(
    "endpoint", ["http://s3.example.org", "HTTP://10.0.0.1:9000", "http://localhost.example.org", "http://[::2]:9000"]
)
def test_customer_key_is_never_sent_over_plain_http(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match=r"synapse_s3_endpoint_url begins with 'http://'.*https://") as refusal:
        StoreSettings(bucket="media", endpoint_url=endpoint, sse_customer_key=SSE_KEY)
    assert SSE_KEY not in str(refusal.value)
    assert StoreSettings(bucket="media", endpoint_url=endpoint).endpoint_url == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://s3.example.org",
        "http://127.0.0.1:9000",
        "http://127.1.2.3",
        "http://localhost:9000",
        "http://[::1]:9000",
        None,
    ],
)
def test_customer_key_over_tls_or_to_this_host(endpoint: str | None) -> None:
    assert StoreSettings(bucket="media", endpoint_url=endpoint, sse_customer_key=SSE_KEY).sse_customer_key == SSE_KEY
