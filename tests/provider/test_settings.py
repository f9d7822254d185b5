# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Synapse's own check says of the provider's settings, at the oldest and at the newest release."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import NEWEST, OLDEST, Release
from homeserver import OFFICIAL, RESILIENT, Homeserver

# Every setting of the official provider, the numbers that it turns into text among them.
OFFICIAL_CONFIG: dict[str, Any] = {
    "bucket": "media",
    "prefix": "media/",
    "region_name": 1,
    "endpoint_url": "http://127.0.0.1:9",
    "access_key_id": 123456,
    "secret_access_key": "the-secret-key",
    "session_token": "the-session-token",
    "sse_customer_key": "0123456789abcdef0123456789abcdef",
    "sse_customer_algo": "AES256",
    "storage_class": "STANDARD_IA",
}
OWN_CONFIG: dict[str, Any] = {
    "bucket": "media",
    "threadpool_size": 60,
    "max_pool_connections": 60,
    "request_checksum_calculation": "when_supported",
    "response_checksum_validation": "when_supported",
    "addressing_style": "virtual",
    "ca_bundle": "/etc/ssl/certs/ca-certificates.crt",
    "connect_timeout": 1,
    "read_timeout": 2.5,
    "fetch_timeout": 6,
    "stall_timeout": 30,
    "max_attempts": 1,
    "store_read_timeout": 100,
    "store_max_attempts": 2,
    "store_retries": 3,
    "store_retry_delay": 1,
    "circuit_failures": 3,
    "circuit_seconds": 30,
}
SECRETS = ("the-secret-key", "the-session-token", "0123456789abcdef0123456789abcdef")
# Runs in Synapse's Python: what becomes of the settings on standard input.
CLIENTS = """
import json, sys
from synapse_s3_resilient_provider.backend import ResilientS3StorageProviderBackend
from synapse_s3_resilient_provider.clients import Clients
parsed = ResilientS3StorageProviderBackend.parse_config(json.load(sys.stdin))
client = Clients(parsed["settings"]).for_downloads()
config = client.meta.config
print(json.dumps({
    "pool": config.max_pool_connections, "connect": config.connect_timeout, "read": config.read_timeout,
    "attempts": config.retries["total_max_attempts"], "style": (config.s3 or {}).get("addressing_style"),
    "request": config.request_checksum_calculation, "response": config.response_checksum_validation,
    "verify": client._endpoint.http_session._verify, "threads": parsed["threadpool_size"],
    "token": client._request_signer._credentials.token, "extra": parsed["extra_args"],
}))
"""
# The same: the error of each, or an empty text.
ERRORS = """
import json, sys
from synapse_s3_resilient_provider.backend import ResilientS3StorageProviderBackend
def error_of(config):
    try:
        ResilientS3StorageProviderBackend.parse_config(config)
    except Exception as error:
        return str(error.message)
    return ""
print(json.dumps([error_of(config) for config in json.load(sys.stdin)]))
"""


def run_in_synapse(directory: Path, program: str, configs: Any) -> str:
    homeserver = Homeserver(directory, NEWEST.python, RESILIENT, {})
    return subprocess.run(
        [NEWEST.python, "-c", program],
        input=json.dumps(configs),
        env=homeserver.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def checked(directory: Path, release: Release, module: str, config: dict[str, Any]) -> tuple[int, str]:
    """The exit status and the output of Synapse's check of a configuration."""
    homeserver = Homeserver(directory, release.python, module, config)
    directory.mkdir(exist_ok=True)
    homeserver.write_config()
    # Synapse's check wants one, whatever it is.
    seed = base64.b64encode(bytes(range(32))).decode().rstrip("=")
    (directory / "signing.key").write_text(f"ed25519 a_test {seed}\n")
    finished = homeserver.run("synapse.config")
    return finished.returncode, finished.stdout


@pytest.mark.parametrize("release", [NEWEST, OLDEST], ids=["newest", "oldest"])
@pytest.mark.parametrize("module", [OFFICIAL, RESILIENT], ids=["official", "resilient"])
def test_a_configuration_of_the_official_provider_works_unchanged(
    module: str, release: Release, tmp_path: Path
) -> None:
    assert checked(tmp_path, release, module, OFFICIAL_CONFIG)[0] == 0


WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"thredpool_size": 5, "xyz": 1}, ["'thredpool_size' (did you mean 'threadpool_size'?)", "'xyz'"]),
    ({"secret_acces_key": "the-secret-key"}, ["did you mean 'secret_access_key'?"]),
    ({"storage_class": "DEEP_ARCHIVE"}, ["'DEEP_ARCHIVE' is archived", "GLACIER_IR", "ONEZONE_IA"]),
    ({"storage_class": "FAST"}, ["'FAST' is not known", "STANDARD"]),
    ({"threadpool_size": 2}, ["threadpool_size is 2", "from 5 to 1000"]),
    ({"read_timeout": "5s"}, ["read_timeout is '5s'", "number of seconds"]),
    ({"addressing_style": "host"}, ["addressing_style is 'host'", "virtual"]),
    ({"request_checksum_calculation": "never"}, ["when_required, when_supported"]),
    ({"ca_bundle": "/nowhere.pem"}, ["ca_bundle is '/nowhere.pem'", "can read"]),
    ({"prefix": 2024}, ["prefix is 2024", "quotes"]),
    ({"bucket": None}, ["bucket is missing"]),
]


@pytest.fixture(scope="module")
def errors_of_wrong(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What parse_config says of each, in Synapse's Python; one process, because its imports take seconds."""
    configs = [{**OFFICIAL_CONFIG, **wrong} for wrong, dummy in WRONG]
    found: list[str] = json.loads(run_in_synapse(tmp_path_factory.mktemp("errors"), ERRORS, configs))
    return found


@pytest.mark.parametrize("number", range(len(WRONG)), ids=[next(iter(wrong)) for wrong, dummy in WRONG])
def test_wrong_settings_are_refused_with_their_name_and_the_remedy(number: int, errors_of_wrong: list[str]) -> None:
    assert [words for words in WRONG[number][1] if words not in errors_of_wrong[number]] == []
    assert not [secret for secret in SECRETS if secret in errors_of_wrong[number]]


@pytest.mark.parametrize("release", [NEWEST, OLDEST], ids=["newest", "oldest"])
def test_synapse_does_not_start_with_an_unknown_setting_and_names_it(release: Release, tmp_path: Path) -> None:
    status, output = checked(tmp_path, release, RESILIENT, {**OFFICIAL_CONFIG, "thredpool_size": 5})

    assert (status, "did you mean 'threadpool_size'?" in output) == (1, True)
    assert not [secret for secret in SECRETS if secret in output]


def test_more_storage_classes_than_the_official_ones_are_allowed(tmp_path: Path) -> None:
    classes = ["GLACIER_IR", "ONEZONE_IA"]
    configs = [{"bucket": "media", "storage_class": storage_class} for storage_class in classes]
    assert json.loads(run_in_synapse(tmp_path, ERRORS, configs)) == ["", ""]


def test_every_setting_reaches_boto3(tmp_path: Path) -> None:
    config = {**OFFICIAL_CONFIG, **OWN_CONFIG, "region_name": "eu-central-1"}
    assert json.loads(run_in_synapse(tmp_path, CLIENTS, config)) == {
        "pool": 60,
        "connect": 1.0,
        "read": 2.5,
        "attempts": 1,
        "style": "virtual",
        "request": "when_supported",
        "response": "when_supported",
        "verify": "/etc/ssl/certs/ca-certificates.crt",
        "threads": 60,
        "token": "the-session-token",
        "extra": {
            "StorageClass": "STANDARD_IA",
            "SSECustomerKey": "0123456789abcdef0123456789abcdef",
            "SSECustomerAlgorithm": "AES256",
        },
    }
