# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module with the real Synapse: what it accepts, what it refuses, and which files it leaves."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from synapse_host import OPERATORS_SECRETS, SECRET, SynapseHost, facts, synapse_python

KEY = "media_storage_providers"
PROVIDER = "s3_storage_provider.S3StorageProviderBackend"
DISK = f"{KEY}:\n- module: file_system # a disk\n  store_local: true\n  config:\n    directory: /tmp\n"
THEIRS = f"{KEY}:\n- module: {PROVIDER}\n  store_local: true\n  config:\n    bucket: media\n    prefix: synapse/\n"
THEIRS += "    endpoint_url: http://127.0.0.1:9000\n"
ACCEPTED = "Config parses OK!"


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A directory that Synapse's user can enter, unlike pytest's own."""
    directory = Path(tempfile.mkdtemp(prefix="storage-provider-config-", dir="/var/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def python(scratch: Path) -> str:
    return synapse_python(scratch / "with-provider", with_provider=True)


@pytest.fixture(scope="module")
def python_without_provider(scratch: Path) -> str:
    return synapse_python(scratch / "without-provider", with_provider=False)


@pytest.fixture
def host(scratch: Path, python: str) -> Iterator[SynapseHost]:
    directory = Path(tempfile.mkdtemp(dir=scratch))
    directory.chmod(0o755)
    # Detect a test that leaves files where copies for Synapse are made.
    before = leftovers()
    yield SynapseHost(directory, python)
    assert leftovers() == before


def leftovers() -> list[Path]:
    return sorted([*Path("/run").glob("synapse-s3-*"), *Path("/tmp").glob("synapse-s3-*")])


def four_registers(host: SynapseHost, action: str, **changes: Any) -> dict[str, Any]:
    """Check mode reports a change and makes none, the real run makes it, then both report none."""
    before = host.state()
    checked = host.config(check=True, **changes)
    assert host.state() == before
    real = host.config(**changes)
    after = host.state()
    assert after != before
    checked_again, again = host.config(check=True, **changes), host.config(**changes)
    assert host.state() == after

    for result in (checked, real):
        assert (result["changed"], result["action"], result["validated"]) == (True, action, True), result
        assert result["validation_skipped"] is None
    assert checked["diff"] == real["diff"]
    assert checked["file"] == real["file"]
    for result in (checked_again, again):
        assert (result["changed"], result["action"], result["validated"]) == (False, "none", False), result
        assert result["diff"] == []
    return real


def test_an_entry_is_added_updated_and_removed(host: SynapseHost) -> None:
    before = host.contents()
    real = four_registers(host, "inserted")
    assert real["file"] == str(host.main)
    assert ACCEPTED in host.synapse_accepts()
    four_registers(host, "updated", secret_access_key="another-s3cret", storage_class="STANDARD_IA", store_remote=False)
    assert ACCEPTED in host.synapse_accepts()
    removed = four_registers(host, "removed", state="absent", bucket=None, prefix=None)
    assert (removed["diff"][0]["before"] != "", removed["diff"][0]["after"]) == (True, "")
    assert host.contents() == before


def test_a_drop_in_is_created_for_synapse_only_and_removed_again(host: SynapseHost) -> None:
    host.drop_in("server_name.yaml", "server_name: synapse.test\n")
    before = host.contents()
    real = four_registers(host, "created")
    assert real["file"] == str(host.conf_d / "synapse-s3.yaml")
    assert host.access(host.conf_d / "synapse-s3.yaml") == ("0640", "root", host.user)
    assert ACCEPTED in host.synapse_accepts()
    four_registers(host, "removed", state="absent", bucket=None, prefix=None)
    assert host.contents() == before


def test_an_entry_is_added_to_the_operators_list(host: SynapseHost) -> None:
    host.append(DISK)
    before = host.contents()
    four_registers(host, "inserted")
    assert ACCEPTED in host.synapse_accepts()
    assert host.main.read_text().count(f"\n{KEY}:") == 1
    four_registers(host, "removed", state="absent", bucket=None, prefix=None)
    assert host.contents() == before


def test_an_s3_entry_of_the_operator_is_taken_over_and_restored(host: SynapseHost) -> None:
    host.append(f"# S3, by hand\n{THEIRS}\n# the end\n")
    before = host.contents()
    real = four_registers(host, "adopted")
    assert "bucket: 'media'" in real["diff"][0]["before"]
    assert ACCEPTED in host.synapse_accepts()
    four_registers(host, "removed", state="absent", bucket=None, prefix=None)
    assert host.contents() == before


def test_settings_of_the_operators_entry_are_not_lost(host: SynapseHost) -> None:
    host.append(THEIRS + "    sse_customer_key: s3cret-s3cret-s3cret-s3cret-s3cr\n")
    said = refused(
        host, "for the endpoint 'http://127.0.0.1:9000', and synapse_s3_endpoint_url is empty", endpoint_url=""
    )
    assert "with a customer key, and synapse_s3_sse_customer_key is empty" in said
    refused(host, "synapse_s3_sse_customer_key is empty")
    key = "s3cret-s3cret-s3cret-s3cret-s3cr"
    checked, real = host.config(check=True, sse_customer_key=key), host.config(sse_customer_key=key)
    for result in (checked, real):
        assert result["action"] == "adopted"
        assert any(
            "store_remote changes from not written, which is false to true" in text for text in result["warnings"]
        )
        assert "s3cret" not in str({**result, "invocation": None})
    assert "warnings" not in host.config(sse_customer_key=key)
    elsewhere: dict[str, Any] = {"endpoint_url": "http://127.0.0.1:9001", "sse_customer_key": key}
    name = refused(host, "names another location", **elsewhere, confirm_location="true")
    place = name.partition("synapse_s3_confirm_location: '")[2].partition("'")[0]
    moved = {**elsewhere, "confirm_location": place}
    four_registers(host, "updated", **moved)


def rewritten(host: SynapseHost, style: str) -> None:
    """Synapse's file as other deployment tools write it."""
    content = yaml.safe_load(host.main.read_text())
    if style == "json":
        text = json.dumps({**content, KEY: [{"module": "file_system", "config": {"directory": "/tmp"}}]}, indent=2)
    elif style == "json without the key":
        text = json.dumps(content)
    else:
        text = host.main.read_text() + f"{KEY}: [{{module: file_system, config: {{directory: /tmp}}}}] # a disk\n"
    host.main.write_text(text)


@pytest.mark.parametrize("style", ["json", "json without the key", "brackets"])
def test_json_and_brackets_are_edited_and_restored(host: SynapseHost, style: str) -> None:
    rewritten(host, style)
    before = host.contents()
    assert ACCEPTED in host.synapse_accepts()
    real = four_registers(host, "inserted")
    assert "bucket: 'media'" in real["diff"][0]["after"]
    assert ACCEPTED in host.synapse_accepts()
    if style != "brackets":
        assert json.loads(host.main.read_text())[KEY][-1]["module"] == PROVIDER
    four_registers(host, "updated", storage_class="STANDARD_IA")
    four_registers(host, "removed", state="absent", bucket=None, prefix=None)
    assert host.contents() == before


def test_a_block_moves_to_the_directory_that_synapse_reads_now(host: SynapseHost) -> None:
    before = host.main.read_bytes()
    host.config()
    host.drop_in("server_name.yaml", "server_name: synapse.test\n")
    real = four_registers(host, "updated")
    assert real["file"] == str(host.conf_d / "synapse-s3.yaml")
    assert host.main.read_bytes() == before
    assert ACCEPTED in host.synapse_accepts()


def test_a_file_that_others_can_read_is_closed_to_them(host: SynapseHost) -> None:
    host.main.chmod(0o644)
    shutil.chown(host.main, "root", "root")
    real = four_registers(host, "inserted")
    assert host.access(host.main) == ("0640", "root", host.user)
    assert real["mode_changes"] == [
        f"{host.main}: mode 0644, owner 0, group 0 -> mode 0640, owner 0, group {gid(host)}"
    ]
    assert ACCEPTED in host.synapse_accepts()

    host.main.chmod(0o644)
    checked, real = host.config(check=True), host.config()
    for result in (checked, real):
        assert (result["changed"], result["action"], result["validated"]) == (True, "updated", False)
        assert "mode 0644" in result["diff"][0]["before"]
    assert host.access(host.main) == ("0640", "root", host.user)
    assert host.config()["changed"] is False


def gid(host: SynapseHost) -> int:
    return host.account.pw_gid


def test_owner_and_mode_of_a_closed_file_stay(host: SynapseHost) -> None:
    host.main.chmod(0o460)
    shutil.chown(host.main, host.user, host.user)
    host.config()
    assert host.access(host.main) == ("0460", host.user, host.user)


def test_a_shared_group_gets_no_access_to_the_secret(host: SynapseHost) -> None:
    """Debian's adduser --system puts a user into nogroup, which other services use too."""
    shutil.chown(host.main, "root", "nogroup")
    four_registers(host, "inserted", group="nogroup")
    assert host.access(host.main) == ("0600", host.user, "nogroup")
    assert host.as_synapse("cat", str(host.main)).returncode == 0

    theirs = host.drop_in("server_name.yaml", "server_name: synapse.test\n")
    shutil.chown(theirs, host.user, "nogroup")
    four_registers(host, "updated", group="nogroup")
    assert host.access(host.conf_d / "synapse-s3.yaml") == ("0600", host.user, "nogroup")


def refused(host: SynapseHost, words: str, check: bool = False, **changes: Any) -> str:
    before = host.state()
    result = host.config(check=check, **changes)
    assert result.get("failed"), result
    assert words in result["msg"]
    assert host.state() == before
    return str(result["msg"])


@pytest.mark.parametrize("check", [False, True])
def test_a_configuration_that_synapse_refuses_is_not_written(host: SynapseHost, check: bool) -> None:
    host.append(f"{KEY}:\n- module: no_such_module.Backend\n  config: {{}}\n")
    words = refused(host, "No module named 'no_such_module'", check)
    assert "nothing was changed" in words
    assert "It refuses the configuration as it is now, too." in words


def test_an_error_of_our_change_is_not_reported_as_the_operators(host: SynapseHost) -> None:
    # Synapse refuses a second list of providers beside this one, but only with our change.
    host.append("enable_media_repo: true\nbackup_media_store_path: /tmp\n")
    assert ACCEPTED in host.synapse_accepts()
    assert "backup_media_store_path" in refused(host, "module: file_system")


def test_a_storage_class_that_the_provider_refuses_is_refused(host: SynapseHost) -> None:
    refused(host, "synapse_s3_storage_class is ONEZONE_IA", storage_class="ONEZONE_IA")


def test_broken_yaml_is_refused_with_its_line(host: SynapseHost) -> None:
    lines = len(host.main.read_text().splitlines())
    host.append("broken: [\n")
    refused(host, f"{host.main}, line {lines + 2}, column 1 is not valid YAML")


@pytest.mark.parametrize("settings", [{"bucket": ""}, {"endpoint_url": "s3.example.org"}, {"access_key_id": ""}])
def test_wrong_settings_are_refused_by_name(host: SynapseHost, settings: dict[str, Any]) -> None:
    refused(host, f"synapse_s3_{next(iter(settings))}", **settings)


def test_an_entry_for_another_bucket_is_refused(host: SynapseHost) -> None:
    host.append(THEIRS)
    refused(host, "has an S3 entry for the bucket 'media', and synapse_s3_bucket is 'other'", bucket="other")


def test_without_the_provider_check_mode_warns_and_the_real_run_fails(
    host: SynapseHost, python_without_provider: str
) -> None:
    host.python = python_without_provider
    checked = host.config(check=True)
    assert (checked["changed"], checked["validated"]) == (True, False)
    assert "The storage provider is not installed" in checked["validation_skipped"]
    assert "No module named 's3_storage_provider'" in checked["validation_skipped"]
    refused(host, "The storage provider cannot be imported")


def test_without_the_provider_its_block_can_still_be_removed(host: SynapseHost, python_without_provider: str) -> None:
    before = host.contents()
    host.config()
    host.python = python_without_provider
    four_registers(host, "removed", state="absent", bucket=None, prefix=None)
    assert host.contents() == before


def test_validation_can_be_left_out(host: SynapseHost, python_without_provider: str) -> None:
    host.python = python_without_provider
    result = host.config(validate=False)
    assert (result["changed"], result["validated"]) == (True, False)
    assert result["validation_skipped"] == "Not validated, because validate is false."


def test_messages_of_synapse_are_shown_without_secrets(host: SynapseHost) -> None:
    host.append("oidc_providers:\n- idp_id: a\n  client_secret: [operators-own-s3cret]\n")
    words = refused(host, "nothing was changed")
    assert "oidc_providers" in words
    assert "operators-own-s3cret" not in words


def test_a_missing_media_store_is_not_created(host: SynapseHost, scratch: Path) -> None:
    store = Path(facts()["media_store_path"]).parent / "not/there"
    text = host.main.read_text().replace(facts()["media_store_path"], str(store))
    host.main.write_text(text)
    assert host.config(check=True)["validated"]
    assert not store.parent.exists()


def test_a_missing_user_or_group_is_named(host: SynapseHost) -> None:
    refused(host, "The user nobody-at-all", user="nobody-at-all")
    refused(host, "the group no-such-group", group="no-such-group")


RUNS: list[Callable[[SynapseHost], str]] = [
    lambda host: host.config_output(check=True),
    lambda host: host.config_output(),
    lambda host: host.config_output(secret_access_key=f"changed-{SECRET}"),
    lambda host: host.config_output(endpoint_url="no-scheme"),
    lambda host: host.config_output(bucket="other", prefix="else"),
    lambda host: host.config_output(state="absent"),
]


def test_no_secret_shows_in_any_output_nor_in_a_process_list(host: SynapseHost) -> None:
    host.append(THEIRS + "    secret_access_key: operators-own-s3cret\n")
    seen: set[str] = set()
    done = threading.Event()
    watcher = threading.Thread(target=watch_processes, args=(seen, done))
    watcher.start()
    try:
        output = "".join(run(host) for run in RUNS)
    finally:
        done.set()
        watcher.join()
    assert any("synapse.config" in line for line in seen), "the validation was not seen in the process list"
    for secret in (SECRET, "s3cret", *OPERATORS_SECRETS):
        assert secret not in output
        assert not [line for line in seen if secret in line]


def watch_processes(seen: set[str], done: threading.Event) -> None:
    while not done.wait(0.02):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                # The process has ended meanwhile.
                continue
