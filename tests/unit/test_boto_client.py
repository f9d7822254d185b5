# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our own boto3 client and that of a child process must send requests in the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.boto import client as boto_client
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.boto.client import make_client
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import (
    StoreSettings,
    aws_config_text,
    child_environment,
)

SSE_KEY = "0123456789abcdef0123456789abcdef"


def full_settings(**others: Any) -> StoreSettings:
    return StoreSettings(
        **{
            "bucket": "media",
            "endpoint_url": "http://127.0.0.1:9000",
            "region_name": "garage",
            "access_key_id": "the-id",
            "secret_access_key": "the-secret",
            "session_token": "the-token",
            "sse_customer_key": SSE_KEY,
            **others,
        }
    )


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def client_of_a_child(
    settings: StoreSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **arguments: Any
) -> Any:
    """Return what a bare boto3.client("s3") becomes in the environment that we give to a child process."""
    config_file = tmp_path / "aws-config"
    config_file.write_text(aws_config_text(settings))
    for name, value in child_environment(settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config_file))
    return boto3.session.Session().client("s3", endpoint_url=settings.endpoint_url, **arguments)


def addressed_host(client: Any) -> str:
    url = client.generate_presigned_url("get_object", Params={"Bucket": "media", "Key": "a"})
    host: str = url.split("/")[2]
    return host


def test_client_follows_the_settings() -> None:
    client = make_client(full_settings(addressing_style="path"), max_pool_connections=33, max_attempts=2)
    config = client.meta.config
    assert client.meta.endpoint_url == "http://127.0.0.1:9000"
    assert client.meta.region_name == "garage"
    assert config.max_pool_connections == 33
    assert config.retries["total_max_attempts"] == 2
    assert config.s3["addressing_style"] == "path"
    # boto3's default is "when_supported", which many servers refuse.
    assert config.request_checksum_calculation == "when_required"
    assert config.response_checksum_validation == "when_required"


def test_virtual_addressing_puts_the_bucket_into_the_host() -> None:
    named = {"endpoint_url": "https://s3.example.org"}
    assert addressed_host(make_client(full_settings(**named))) == "s3.example.org"
    assert addressed_host(make_client(full_settings(**named, addressing_style="virtual"))) == "media.s3.example.org"


def test_child_addresses_and_signs_like_our_own_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = full_settings(endpoint_url="https://s3.example.org", addressing_style="virtual")
    child = client_of_a_child(settings, monkeypatch, tmp_path)
    own = make_client(settings)
    assert addressed_host(child) == addressed_host(own) == "media.s3.example.org"
    assert child.meta.region_name == own.meta.region_name == "garage"
    assert child.meta.config.request_checksum_calculation == "when_required"
    assert child.meta.config.response_checksum_validation == "when_required"
    for client in (child, own):
        keys = client._request_signer._credentials
        assert (keys.access_key, keys.secret_key, keys.token) == ("the-id", "the-secret", "the-token")


def test_child_gets_no_variable_for_unset_settings() -> None:
    assert child_environment(StoreSettings(bucket="media")) == {
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }


def test_configuration_file_holds_no_secret(tmp_path: Path) -> None:
    text = aws_config_text(full_settings(ca_bundle=str(tmp_path / "ca.pem")))
    assert str(tmp_path / "ca.pem") in text
    for secret in ("the-id", "the-secret", "the-token", SSE_KEY):
        assert secret not in text


def test_missing_ca_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="synapse_s3_ca_bundle"):
        make_client(full_settings(ca_bundle=str(tmp_path / "absent.pem")))


def test_an_invalid_host_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="synapse_s3_endpoint_url"):
        make_client(full_settings(endpoint_url="https://a b"))


def test_missing_boto3_names_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto_client, "BOTO3_IMPORT_ERROR", "Traceback")
    with pytest.raises(ConfigurationError, match=r"boto3 cannot be imported by .*python"):
        make_client(full_settings())
