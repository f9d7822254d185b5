# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The script and our own client get the same environment, whatever the shell has set."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process.environment import (
    run_environment,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings

AMBIENT = {
    "PATH": "/bin",
    "HTTPS_PROXY": "http://proxy:3128",
    "AWS_ACCESS_KEY_ID": "ambient",
    "AWS_SECRET_ACCESS_KEY": "ambient",
    "AWS_SESSION_TOKEN": "ambient",
    "AWS_ENDPOINT_URL": "https://elsewhere",
    "AWS_PROFILE": "elsewhere",
    "AWS_CONFIG_FILE": "/elsewhere",
    "AWS_CA_BUNDLE": "/elsewhere",
    "AWS_DEFAULT_REGION": "mars-1",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
    "SSE_CUSTOMER_KEY": "ambient",
    "PGHOST": "elsewhere",
    "PGPASSWORD": "ambient",
}
CONFIG = Path("/state/aws-config")


def amazon(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("AWS_")}


def test_with_keys_the_shells_environment_does_not_count() -> None:
    settings = StoreSettings(bucket="b1b", access_key_id="i", secret_access_key="s", region_name="eu-1")
    environment = run_environment(AMBIENT, settings, CONFIG)
    assert amazon(environment) == {
        "AWS_ACCESS_KEY_ID": "i",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "eu-1",
        "AWS_CONFIG_FILE": "/state/aws-config",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }
    assert environment["HTTPS_PROXY"] == "http://proxy:3128"
    assert "SSE_CUSTOMER_KEY" not in environment


def test_without_keys_boto3_finds_the_role() -> None:
    environment = amazon(run_environment(AMBIENT, StoreSettings(bucket="b1b"), CONFIG))
    assert environment["AWS_WEB_IDENTITY_TOKEN_FILE"] == "/token"
    assert environment["AWS_ACCESS_KEY_ID"] == "ambient"
    assert environment["AWS_DEFAULT_REGION"] == "mars-1"
    assert not {"AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_CA_BUNDLE"} & set(environment)


def test_only_the_configured_database_is_used() -> None:
    environment = run_environment(AMBIENT, None, None)
    assert {name for name in environment if name.startswith("PG")} == {"PGCONNECT_TIMEOUT"}
    assert amazon(environment) == {}
