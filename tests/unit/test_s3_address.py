# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The address of requests, for each form of the settings and for each kind of proxy."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.address import (
    address_of,
    proxy_for,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.transport.connector import Proxy
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings

KEYS = {"access_key_id": "the-id", "secret_access_key": "the-secret"}


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def settings(**others: str) -> StoreSettings:
    return StoreSettings(**{"bucket": "media", **KEYS, **others})


@pytest.mark.parametrize(
    ("others", "authority", "listed", "path"),
    [
        ({"endpoint_url": "http://127.0.0.1:9000"}, "127.0.0.1:9000", "/media", "/media/a%20b/%2B"),
        ({"endpoint_url": "https://s3.example.org"}, "s3.example.org", "/media", "/media/a%20b/%2B"),
        ({"endpoint_url": "https://s3.example.org:443/"}, "s3.example.org", "/media", "/media/a%20b/%2B"),
        ({"endpoint_url": "http://[::1]:80/gate/"}, "[::1]", "/gate/media", "/gate/media/a%20b/%2B"),
        (
            {"endpoint_url": "https://s3.example.org", "addressing_style": "virtual"},
            "media.s3.example.org",
            "/",
            "/a%20b/%2B",
        ),
        ({"region_name": "eu-central-1"}, "media.s3.eu-central-1.amazonaws.com", "/", "/a%20b/%2B"),
        (
            {"region_name": "eu-central-1", "bucket": "with.dots"},
            "s3.eu-central-1.amazonaws.com",
            "/with.dots",
            "/with.dots/a%20b/%2B",
        ),
        (
            {"region_name": "eu-central-1", "addressing_style": "path"},
            "s3.eu-central-1.amazonaws.com",
            "/media",
            "/media/a%20b/%2B",
        ),
    ],
)
def test_addresses(others: dict[str, str], authority: str, listed: str, path: str) -> None:
    address = address_of(settings(**others))
    assert address.authority == authority
    assert address.path("") == listed
    assert address.path("a b/+") == path
    assert address.tls is not others.get("endpoint_url", "https").startswith("http:")


def test_the_region_is_taken_from_settings_then_environment_then_default(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = {"endpoint_url": "http://127.0.0.1:9000"}
    assert address_of(settings(**endpoint)).region == "us-east-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "garage")
    assert address_of(settings(**endpoint)).region == "garage"
    assert address_of(settings(**endpoint, region_name="eu-west-1")).region == "eu-west-1"


def test_an_arn_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ARN"):
        address_of(settings(bucket="arn:aws:s3:eu-west-1:1:accesspoint/media"))


def test_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = address_of(settings(endpoint_url="http://s3.example.org"))
    tls = address_of(settings(endpoint_url="https://s3.example.org"))
    assert (proxy_for(plain), proxy_for(tls)) == (None, None)
    monkeypatch.setenv("http_proxy", "http://proxy.example.org:3128")
    monkeypatch.setenv("HTTPS_PROXY", "http://us%40er:p%3Aw@proxy.example.org:3129")
    assert proxy_for(plain) == Proxy("proxy.example.org", 3128, "")
    assert proxy_for(tls) == Proxy("proxy.example.org", 3129, "Basic dXNAZXI6cDp3")
    monkeypatch.setenv("NO_PROXY", "localhost,.example.org")
    assert (proxy_for(plain), proxy_for(tls)) == (None, None)


@pytest.mark.parametrize("proxy", ["https://proxy.example.org", "socks5://h:1080", "http://h:port", "http://:secret@"])
def test_proxies_that_are_not_supported_are_refused(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as refusal:
        proxy_for(address_of(settings(endpoint_url="https://s3.example.org")))
    assert "secret" not in str(refusal.value)
