# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The diff shows our entry and the file's permissions: no secret, and nothing of the operator's."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.access import planned_access
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.diff import diffs_of
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.entry import (
    KEY,
    PROVIDER_MODULE,
    ProviderEntry,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.plan import plan_entry, plan_removal
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.validation import (
    last_lines,
    mask_secrets,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.location import StoreLocation
from homeserver_files import US, ConfigurationFiles, entry

SECRETS = {
    "secret": "first-s3cret",
    "session_token": "tok-s3cret",
    "sse_customer_key": "s3cret-s3cret-s3cret-s3cret-s3cr",
}
MASKED = """\
# BEGIN ANSIBLE MANAGED BLOCK matrix_ops.synapse_s3
media_storage_providers:
  - module: s3_storage_provider.S3StorageProviderBackend
    store_local: true
    store_remote: true
    store_synchronous: true
    config:
      bucket: 'media'
      prefix: 'synapse/'
      access_key_id: 'AKIA'
      secret_access_key: ********
      session_token: ********
      sse_customer_key: ********
      sse_customer_algo: 'AES256'
      storage_class: 'STANDARD'
# END ANSIBLE MANAGED BLOCK matrix_ops.synapse_s3
"""


def secret_entry(**settings: str) -> ProviderEntry:
    return entry(**{**SECRETS, **settings})


def diff_of(files: ConfigurationFiles, wanted: ProviderEntry | None) -> list[dict[str, str]]:
    plan = plan_entry(files.layout(), wanted) if wanted else plan_removal(files.layout())
    shown = diffs_of(plan, planned_access(plan, US, holds_secret=bool(wanted)))
    assert "s3cret" not in str(shown)
    assert "operators" not in str(shown)
    return shown


def test_a_new_block_is_shown_without_secrets_and_a_removed_one_too(tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": "operators: s3cret\n"})
    (shown,) = diff_of(files, secret_entry())
    assert (shown["before"], shown["after"]) == ("", MASKED)
    assert shown["before_header"] == shown["after_header"] == f"{tmp_path}/homeserver.yaml"
    files.put(secret_entry())
    assert diff_of(files, secret_entry()) == []
    (shown,) = diff_of(files, None)
    assert (shown["before"], shown["after"]) == (MASKED, "")


def test_a_changed_secret_shows_as_changed(tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": "operators: s3cret\n"})
    files.put(secret_entry())
    (shown,) = diff_of(files, secret_entry(secret="second-s3cret", storage_class="STANDARD_IA"))
    assert shown["before"] == MASKED
    changed = MASKED.replace("secret_access_key: ********", "secret_access_key: ********  (changed)")
    assert shown["after"] == changed.replace("'STANDARD'", "'STANDARD_IA'")


def test_what_was_replaced_is_not_shown(tmp_path: Path) -> None:
    theirs = f"{KEY}:\n- module: {PROVIDER_MODULE}\n  config:\n    bucket: media\n    prefix: synapse/\n"
    theirs += "    secret_access_key: old-s3cret\n    unknown: s3cret\n    region_name: eu-1\n"
    theirs += f"    sse_customer_key: {SECRETS['sse_customer_key']}\n"
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": theirs})
    wanted = secret_entry(region_name="eu-1")
    (shown,) = diff_of(files, wanted)
    assert "unknown: ********" in shown["before"]
    assert "region_name: 'eu-1'" in shown["before"]
    assert "secret_access_key: ********  (changed)" in shown["after"]
    assert shown["after"].count("# was: ********\n") == theirs.count("\n") - 1
    files.put(wanted)
    assert "old-s3cret" in files.text()
    (shown,) = diff_of(files, None)
    assert shown["before"].count("# was: ********\n") == theirs.count("\n") - 1


def test_a_password_in_the_operators_endpoint_is_hidden(tmp_path: Path) -> None:
    theirs = f"{KEY}:\n- module: {PROVIDER_MODULE}\n  config:\n    bucket: media\n    prefix: synapse/\n"
    theirs += "    endpoint_url: https://user:s3cret@s3.example.org\n"
    theirs += f"    sse_customer_key: {SECRETS['sse_customer_key']}\n"
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": theirs})
    with pytest.raises(ConfigurationError, match=r"for the endpoint '\*{8}'") as refusal:
        plan_entry(files.layout(), secret_entry())
    assert "s3cret" not in str(refusal.value)
    plan = plan_entry(files.layout(), secret_entry(), StoreLocation.of(secret_entry().settings).name())
    (shown,) = diffs_of(plan, planned_access(plan, US, holds_secret=True))
    assert "endpoint_url: ********" in shown["before"]


def test_narrower_permissions_are_shown_in_the_diff(tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": "a: 1\n"})
    (tmp_path / "homeserver.yaml").chmod(0o644)
    (shown,) = diff_of(files, secret_entry())
    assert "# mode 0644" in shown["before"]
    assert "# mode 0640" in shown["after"]
    files.put(secret_entry())
    assert (tmp_path / "homeserver.yaml").stat().st_mode & 0o777 == 0o640
    (tmp_path / "homeserver.yaml").chmod(0o664)
    (shown,) = diff_of(files, secret_entry())
    assert "mode 0664" in shown["before"]
    assert "mode 0660" in shown["after"]
    files.put(secret_entry())
    assert diff_of(files, secret_entry()) == []


def test_a_file_without_a_secret_keeps_its_mode(tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": "a: 1\n"})
    (tmp_path / "homeserver.yaml").chmod(0o644)
    files.put(entry(secret="", access_key_id=""))
    assert (tmp_path / "homeserver.yaml").stat().st_mode & 0o777 == 0o644


def test_both_files_of_a_move_are_shown(tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": "a: 1\n", "conf.d/a.yaml": "b: 1\n"})
    files.put(secret_entry())
    files.paths.append(f"{tmp_path}/conf.d")
    created, emptied = diff_of(files, secret_entry())
    assert created["after"].startswith(MASKED)
    assert (emptied["before"], emptied["after"]) == (MASKED, "")


def test_messages_of_synapse_are_shown_without_secrets() -> None:
    config = {
        "registration_shared_secret": "reg-s3cret",
        "database": {"args": {"password": "db-s3cret", "host": "localhost"}},
        "signing_key_path": "/etc/signing.key",
        KEY: [{"module": PROVIDER_MODULE, "config": {"secret_access_key": "s3-s3cret", "bucket": "media"}}],
        "oidc_providers": [{"client_secret": {"key": "nested-s3cret"}}],
        "turn_shared_secret": 12345678,
        "form_secret": None,
        "macaroon_secret_key": True,
    }
    text = "reg-s3cret db-s3cret localhost /etc/signing.key s3-s3cret media nested-s3cret 12345678 None True"
    hidden = mask_secrets(text, config)
    assert hidden == "******** ******** localhost /etc/signing.key ******** media ******** ******** None True"


def test_the_last_lines_are_shown_without_empty_ones() -> None:
    assert last_lines("\n".join(f"line {number}\n" for number in range(40))).splitlines() == [
        f"line {number}" for number in range(25, 40)
    ]
    assert last_lines("\n \n") == ""
