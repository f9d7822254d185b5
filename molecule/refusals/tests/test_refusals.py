# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wrong setting is refused before any change, with a message that names the setting and the remedy."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager

import pytest


def settings(**values):
    return {f"synapse_s3_{name}": value for name, value in values.items()}


WRONG_SETTINGS = {
    "no bucket": (settings(bucket=""), ["synapse_s3_bucket"]),
    "endpoint without scheme": (settings(endpoint_url="127.0.0.1:9000"), ["synapse_s3_endpoint_url", "https://"]),
    "half a key pair": (settings(secret_access_key=""), ["synapse_s3_access_key_id", "synapse_s3_secret_access_key"]),
    "the other half of a key pair": (
        settings(access_key_id=""),
        ["synapse_s3_access_key_id", "synapse_s3_secret_access_key"],
    ),
    "no keys and no role": (
        settings(access_key_id="", secret_access_key=""),
        ["synapse_s3_access_key_id", "synapse_s3_use_instance_role"],
    ),
    "a storage class that the provider does not take": (
        settings(storage_class="GLACIER_IR", storage_provider="official"),
        ["synapse_s3_storage_class", "STANDARD_IA"],
    ),
    "a storage class that only the script takes": (
        settings(storage_class="ONEZONE_IA", storage_provider="official"),
        ["synapse_s3_storage_class", "STANDARD_IA"],
    ),
    "a storage class that no provider takes": (
        settings(storage_class="DEEP_ARCHIVE"),
        ["synapse_s3_storage_class", "the resilient storage provider does not take", "GLACIER_IR"],
    ),
    "a storage provider that is none": (
        settings(storage_provider="forked"),
        ["synapse_s3_storage_provider", "resilient"],
    ),
    "an option of the resilient provider for the official one": (
        settings(storage_provider="official", storage_provider_options={"fetch_timeout": 5}),
        ["synapse_s3_storage_provider_options", "'resilient'"],
    ),
    "an addressing style that is none": (settings(addressing_style="dns"), ["synapse_s3_addressing_style", "virtual"]),
    "a bucket that does not exist": (settings(bucket="no-such-bucket"), ["synapse_s3_bucket", "no-such-bucket"]),
    "a secret that is refused": (settings(secret_access_key="wrong"), ["synapse_s3_secret_access_key"]),
    "a key that is refused": (settings(access_key_id="nobody"), ["synapse_s3_access_key_id"]),
    "keys that may not write": (settings(endpoint_url="http://127.0.0.1:9001"), ["Writing to the bucket", "read-only"]),
    "an endpoint where nothing listens": (settings(endpoint_url="http://127.0.0.1:9"), ["synapse_s3_endpoint_url"]),
    "an endpoint that is no S3 server": (settings(endpoint_url="http://127.0.0.1:8008"), ["synapse_s3_endpoint_url"]),
    "an age that is no duration": (settings(migrate_older_than="1 day"), ["synapse_s3_migrate_older_than", "1d"]),
    "a grace period that is no duration": (settings(migrate_grace="60"), ["synapse_s3_migrate_grace", "1d"]),
    "a size of the media on the disk that is none": (
        settings(migrate_local_cache_size="0"),
        ["synapse_s3_migrate_local_cache_size is '0'", "50G"],
    ),
    "free space of which there is no number": (
        settings(migrate_min_free="half"),
        ["synapse_s3_migrate_min_free is 'half'", "50G"],
    ),
    "an age in the bucket that is no duration": (
        settings(migrate_min_bucket_age="a week"),
        ["synapse_s3_migrate_min_bucket_age is 'a week'", "1d"],
    ),
    "a size of the media on the disk where nothing leaves it": (
        settings(migrate_local_cache_size="50G", migrate_delete_local=False),
        ["synapse_s3_migrate_local_cache_size", "synapse_s3_migrate_delete_local"],
    ),
    "limits of the disk for upstream's script, which has none": (
        settings(migrate_engine="s3_media_upload", migrate_min_free="20G", migrate_min_bucket_age="7d"),
        ["synapse_s3_migrate_min_free", "synapse_s3_migrate_min_bucket_age", "media_offload"],
    ),
    "a group that shares the media and lacks the host": (
        settings(migrate_shard_group="no-such-group"),
        ["synapse_s3_migrate_shard_group", "no-such-group"],
    ),
    "metrics where Synapse's user may not write": (
        settings(migrate_metrics_file="/root/metrics/synapse-s3.prom"),
        ["synapse_s3_migrate_metrics_file", "/root/metrics", "setfacl"],
    ),
    "metrics of upstream's script, which has none": (
        settings(migrate_engine="s3_media_upload", migrate_metrics_file="/tmp/synapse-s3.prom"),
        ["synapse_s3_migrate_metrics_file", "media_offload"],
    ),
    "a schedule that systemd does not take": (
        settings(migrate_schedule="nightly at five"),
        ["synapse_s3_migrate_schedule"],
    ),
    "a Synapse that is not there": (
        settings(synapse_service="no-such-synapse.service"),
        ["synapse_s3_synapse_service"],
    ),
    "a configuration directory that is everybody's": (
        settings(config_dir="/etc"),
        ["synapse_s3_config_dir", "top-level"],
    ),
    "a configuration directory of Synapse's": (
        settings(config_dir="/etc/matrix-synapse"),
        ["synapse_s3_config_dir", "contains /etc/matrix-synapse, /etc/matrix-synapse/homeserver.yaml of Synapse"],
    ),
    "a configuration directory that is a home directory": (
        settings(config_dir="/home/alice"),
        ["synapse_s3_config_dir"],
    ),
    "a configuration directory with files of others": (
        settings(config_dir="/etc/postgresql"),
        ["synapse_s3_config_dir", "not of the collection"],
    ),
    "a directory of the program in which Synapse lies": (
        settings(migrate_install_dir="/opt/synapse"),
        ["synapse_s3_migrate_install_dir", "/opt/synapse/venv of Synapse"],
    ),
    "an instance whose name leads elsewhere": (settings(instance="../x"), ["synapse_s3_instance", "'blue'"]),
    "a URL of Synapse without a scheme": (settings(synapse_url="127.0.0.1:8008"), ["synapse_s3_synapse_url", "unix:"]),
    "a media path that is not there": (settings(media_path="/no/such/media"), ["synapse_s3_media_path"]),
}

SEVERAL_WRONG_SETTINGS = {
    "several of the settings": (
        settings(bucket="", endpoint_url="127.0.0.1:9000", secret_access_key="", instance="../x"),
        ["synapse_s3_bucket", "synapse_s3_endpoint_url", "synapse_s3_secret_access_key", "synapse_s3_instance"],
    ),
    "several of the migrate job": (
        settings(migrate_older_than="1 day", migrate_schedule="nightly at five", migrate_install_dir="/opt/synapse"),
        ["synapse_s3_migrate_older_than", "synapse_s3_migrate_schedule", "synapse_s3_migrate_install_dir"],
    ),
}

OTHER_PROVIDER = """
media_storage_providers:
  - module: s3_storage_provider.S3StorageProviderBackend
    store_local: true
    config:
      bucket: another-bucket
"""

WRONG_CONFIGURATIONS = {
    "media kept in S3 alone": ("enable_local_media_storage: false\n", ["enable_local_media_storage"]),
    "a process without the media repository": ("enable_media_repo: false\n", ["enable_media_repo"]),
    "another bucket in Synapse's configuration": (OTHER_PROVIDER, ["another-bucket", "synapse_s3_bucket"]),
    "the key twice": ("media_storage_providers: []\nmedia_storage_providers: []\n", ["media_storage_providers"]),
}


def snapshot(homeserver):
    return json.loads(homeserver.run("/usr/bin/python3", "/opt/test-tools/snapshot.py"))


def refused(play, homeserver, wrong, words, *arguments, playbook="site"):
    files, bucket = snapshot(homeserver), homeserver.bucket
    ended = play(f"matrix_ops.synapse_s3.{playbook}", "-e", json.dumps(wrong), *arguments)
    assert ended.status != 0, ended.output
    # Ansible's output may break a message into several lines.
    said = re.sub(r"\s+", " ", ended.output)
    assert [word for word in words if word not in said] == [], ended.output
    assert "Traceback" not in ended.output
    assert ended.changed == 0
    assert_unchanged(homeserver, files, bucket)


def assert_unchanged(homeserver, files, bucket):
    after = snapshot(homeserver)
    assert {path: now for path, now in after.items() if files.get(path) != now} == {}
    assert sorted(set(files) - set(after)) == []
    assert homeserver.bucket == bucket


def pip(homeserver, *arguments):
    return homeserver.run(homeserver.facts["python"], "-m", "pip", "--disable-pip-version-check", *arguments)


@contextmanager
def boto3_installed(homeserver):
    """In Synapse's Python, so that not every case needs it in a temporary directory for the probe of the bucket."""

    def packages():
        return {package["name"] for package in json.loads(pip(homeserver, "list", "--format=json"))}

    before = packages()
    pip(homeserver, "install", "--quiet", "boto3==1.44.5")
    try:
        yield
    finally:
        pip(homeserver, "uninstall", "--quiet", "--yes", *sorted(packages() - before))


@pytest.fixture(scope="module")
def refusals(play_cases, homeserver):
    """The results of all cases, which are hosts of one play, because a play of its own for each takes minutes more."""
    cases = {**WRONG_SETTINGS, **SEVERAL_WRONG_SETTINGS}
    with boto3_installed(homeserver):
        files, bucket = snapshot(homeserver), homeserver.bucket
        results = play_cases("matrix_ops.synapse_s3.site", {case: wrong for case, (wrong, words) in cases.items()})
        assert_unchanged(homeserver, files, bucket)
    return results


def assert_refused(result, words):
    assert (result.failed, result.changed) == (1, 0)
    # Ansible's output may break a message into several lines.
    said = re.sub(r"\s+", " ", result.failures)
    assert [word for word in words if word not in said] == [], result.failures


@pytest.mark.parametrize(("case", "words"), [(case, words) for case, (wrong, words) in WRONG_SETTINGS.items()])
def test_a_wrong_setting_is_refused(refusals, case, words):
    assert_refused(refusals[case], words)


@pytest.mark.parametrize(("case", "words"), [(case, words) for case, (wrong, words) in SEVERAL_WRONG_SETTINGS.items()])
def test_all_that_is_wrong_is_named_at_once(refusals, case, words):
    assert_refused(refusals[case], words)


@pytest.mark.parametrize("mode", [[], ["--check", "--diff"]], ids=["for real", "in check mode"])
def test_a_wrong_secret_is_refused_in_every_mode(play, homeserver, mode):
    refused(play, homeserver, settings(secret_access_key="wrong"), ["synapse_s3_secret_access_key"], *mode)


@pytest.mark.parametrize("toggle", ["storage_provider_enabled", "migrate_enabled"])
def test_a_toggle_that_the_command_line_turns_on_is_refused_by_the_removal(play, homeserver, toggle):
    """It would be installed, while the files around it are removed."""
    refused(
        play, homeserver, settings(**{toggle: True}), [f"synapse_s3_{toggle}", "without that -e"], playbook="uninstall"
    )


@pytest.mark.parametrize(("lines", "words"), WRONG_CONFIGURATIONS.values(), ids=WRONG_CONFIGURATIONS.keys())
def test_an_unsuitable_configuration_is_refused(play, homeserver, lines, words):
    path = homeserver.facts["config_paths"][0]
    homeserver.run("cp", "--preserve", path, "/opt/test-tools/homeserver.yaml")
    try:
        homeserver.run("sh", "-c", f"printf '%s' '{lines}' >> {path}")
        refused(play, homeserver, {}, words)
    finally:
        homeserver.run("cp", "--preserve", "/opt/test-tools/homeserver.yaml", path)


# Published packages whose module has the name of the storage provider's, and a boto3 with which neither provider works.
WRONG_PACKAGES = {
    "synapse-s3-storage-provider-delete-local==1.2.1": ["synapse-s3-storage-provider-delete-local, which", "uninstall"],
    "s3-synapse-storage-provider==1.5.3": ["s3-synapse-storage-provider, which", "uninstall"],
    "enhanced-s3-storage-provider==1.7.0": ["enhanced-s3-storage-provider, whose", "uninstall"],
    "boto3==1.28.0": ["boto3 1.28.0 (it needs", "synapse_s3_storage_provider: official", "install --upgrade boto3"],
}


@pytest.mark.parametrize(("package", "words"), WRONG_PACKAGES.items(), ids=WRONG_PACKAGES.keys())
def test_an_unsuitable_package_in_synapses_python_is_refused(play, homeserver, package, words):
    pip(homeserver, "install", "--quiet", "--no-deps", "--no-compile", package)
    try:
        refused(play, homeserver, {}, words)
    finally:
        pip(homeserver, "uninstall", "--quiet", "--yes", package.partition("==")[0])


def test_synapse_kept_running(homeserver):
    shown = homeserver.run("systemctl", "show", "matrix-synapse", "--property=ActiveState,NRestarts")
    assert "ActiveState=active" in shown
    assert homeserver.run("curl", "--silent", "--fail", homeserver.facts["url"] + "/health") == "OK"
