# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration file of the migrate command: what it accepts, its permissions, and secrets from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.config import (
    read_config,
    with_secrets,
)

ENOUGH = """
media_path: /var/lib/synapse/media_store
homeserver_config: [/etc/matrix-synapse/homeserver.yaml]
s3: {bucket: media, access_key_id: id, secret_access_key: secret}
migrate: {older_than: 1d, state_dir: /var/lib/synapse-s3}
"""


def write(directory: Path, text: str, mode: int = 0o600) -> str:
    path = directory / "migrate.yml"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_reads_every_section(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, ENOUGH + "offload: {grace: 60s}\n"), {})
    assert config.source.media_path == "/var/lib/synapse/media_store"
    assert config.source.homeserver_config == ("/etc/matrix-synapse/homeserver.yaml",)
    assert (config.store.bucket, config.store.secret_access_key) == ("media", "secret")
    assert config.migrate == {"older_than": "1d", "state_dir": "/var/lib/synapse-s3"}
    assert config.offload == {"grace": "60s"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o644])
def test_refuses_a_file_that_others_can_access(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"mode 0{mode:o}\).*chmod 0600"):
        read_config(write(tmp_path, ENOUGH, mode), {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENOUGH + "buckets: x\n", "Unknown setting buckets"),
        ("- a\n", "no YAML mapping"),
        ("s3: [a]\n", "s3 in .* is no mapping"),
        ("media_path: 7\ns3: {bucket: media}\n", "media_path in .* is 7, which is no text"),
        ("homeserver_config: {a: b}\ns3: {bucket: media}\n", "no list of paths"),
        ("s3: {bucket: media, bukket: x}\n", "Unknown S3 setting bukket"),
        ("s3: {}\n", "synapse_s3_bucket is not set"),
        (ENOUGH.replace(", secret_access_key: secret", ""), "synapse_s3_secret_access_key is not"),
    ],
)
def test_refuses_unknown_or_wrong_settings(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_config(write(tmp_path, text), {})


def test_an_error_in_yaml_gives_the_line_but_quotes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"line 3, column .*not valid YAML") as caught:
        read_config(write(tmp_path, "s3:\n  secret_access_key: 'hunter2\n"), {})
    assert "hunter2" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yml cannot be read"):
        read_config(str(tmp_path / "nowhere.yml"), {})


def test_secrets_may_be_in_the_environment() -> None:
    environment = {
        "AWS_ACCESS_KEY_ID": "i",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_SESSION_TOKEN": "t",
        "SSE_CUSTOMER_KEY": "k",
    }
    assert with_secrets({"bucket": "b"}, environment) == {
        "bucket": "b",
        "access_key_id": "i",
        "secret_access_key": "s",
        "session_token": "t",
        "sse_customer_key": "k",
    }


def test_keys_of_the_file_and_of_the_environment_are_never_mixed() -> None:
    environment = {"AWS_ACCESS_KEY_ID": "other", "AWS_SECRET_ACCESS_KEY": "other", "AWS_SESSION_TOKEN": "other"}
    keys = {"access_key_id": "i", "secret_access_key": "s"}
    assert with_secrets(keys, environment) == {**keys, "sse_customer_key": None}
