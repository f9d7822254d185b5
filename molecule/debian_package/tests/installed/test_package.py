# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Synapse in the layout of packages.matrix.org: a file of our own in conf.d, upgrades that replace the virtualenv."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

BLOCK = "/etc/matrix-synapse/conf.d/synapse-s3.yaml"
KEPT = "/usr/local/lib/synapse-s3"
PACKAGE = "/opt/test-tools/package"
RESTORED = "Installed again: boto3 "


def test_the_block_is_a_file_of_our_own_that_only_synapse_can_read(homeserver):
    file = homeserver.host.file(BLOCK)
    assert "synapse-media" in file.content_string
    # nogroup has other members.
    assert (file.mode, file.user) == (0o600, "matrix-synapse")


def test_the_files_of_the_package_are_as_it_installed_them(homeserver):
    assert homeserver.run("dpkg", "--verify", "matrix-synapse-py3") == ""


def test_synapse_answers_and_runs_with_the_provider(homeserver):
    assert homeserver.host.service("matrix-synapse").is_running
    assert homeserver.run("curl", "--silent", "--fail", homeserver.facts["url"] + "/health") == "OK"


def test_wheels_of_all_that_the_provider_needs_are_kept(homeserver):
    listed = json.loads(homeserver.host.file(f"{KEPT}/wheels.json").content_string)
    names = homeserver.run("ls", KEPT).split()
    # The collection's own package is a copy, and pip is kept beside the packages.
    assert list(listed["copies"]) == ["synapse-s3-resilient-provider"]
    assert "synapse_s3_resilient_provider" in homeserver.run("ls", f"{KEPT}/copies").split()
    assert len([name for name in names if name.endswith(".whl")]) == len(listed["packages"])
    assert listed["pip"] in names
    # They fit every Python.
    assert [name for name in names if name.endswith(".whl") and not name.endswith("-none-any.whl")] == []


@pytest.fixture
def without_network(homeserver) -> Iterator[None]:
    """Only the loopback of the container is left, on which Synapse and the S3 server listen."""
    homeserver.run("systemctl", "start", "synapse-s3-migrate.service")
    container = homeserver.host.backend.get_hostname()
    subprocess.run(["docker", "network", "disconnect", "bridge", container], check=True)
    try:
        assert [line.split()[0] for line in homeserver.run("ip", "-brief", "link").splitlines()] == ["lo"]
        yield
    finally:
        subprocess.run(["docker", "network", "connect", "bridge", container], check=True)


def journal(homeserver, since: str) -> str:
    return homeserver.run("journalctl", "--unit=matrix-synapse", "--since", since, "--no-pager", "--output=cat")


def test_an_upgrade_without_network_keeps_the_storage_provider(homeserver, play, without_network):
    homeserver.tool("media.py", "upload", "/opt/test-tools/molecule-upgrade.json", "--count", "2", "--remote", "1")
    homeserver.run("systemctl", "start", "synapse-s3-migrate.service")
    assert homeserver.media == {}
    since = homeserver.run("date", "+%Y-%m-%d %H:%M:%S").strip()
    homeserver.run(f"{PACKAGE}/build.sh", "1-2", PACKAGE)
    upgrade = homeserver.run("dpkg", "--force-unsafe-io", "--install", f"{PACKAGE}/matrix-synapse-py3_1-2.deb")
    assert "over (1-1)" in upgrade

    said = journal(homeserver, since)
    assert "/opt/venvs/matrix-synapse/bin/python has lost boto3, " in said
    assert RESTORED in said
    assert "synapse-s3-resilient-provider" in said
    assert homeserver.run(
        "curl", "--silent", "--fail", "--retry", "30", "--retry-connrefused", homeserver.facts["url"] + "/health"
    )
    checked = json.loads(homeserver.tool("media.py", "check", "/opt/test-tools/molecule-upgrade.json"))
    assert (checked["differing"], checked["pictures"]) == ([], 3)


def test_a_start_with_all_packages_says_nothing(homeserver):
    since = homeserver.run("date", "+%Y-%m-%d %H:%M:%S").strip()
    homeserver.run("systemctl", "restart", "matrix-synapse.service")
    assert "matrix_ops.synapse_s3" not in journal(homeserver, since)


def test_the_playbook_has_nothing_to_do_after_the_upgrade(homeserver, play):
    again = play("matrix_ops.synapse_s3.site")
    assert again.status == 0, again.output[-3000:]
    assert again.changed == 0, again.output[-3000:]


def test_a_list_in_a_later_file_gets_the_entry(homeserver, play):
    """Synapse takes the list of the last file that has one, so an entry in a file of our own would be ignored."""
    later = "/etc/matrix-synapse/conf.d/zz-media.yaml"
    entry = "media_storage_providers:\n  - {module: file_system, store_local: false, config: {directory: /srv/media}}\n"
    homeserver.run("install", "-d", "-o", "matrix-synapse", "/srv/media")
    homeserver.run("sh", "-c", f"printf '%s' '{entry}' >{later}")
    try:
        moved = play("matrix_ops.synapse_s3.site", "--tags", "configure", "--check", "--diff")
        assert moved.status == 0, moved.output[-3000:]
        assert f"after: {later}" in moved.output, moved.output[-3000:]
    finally:
        homeserver.run("rm", "-r", later, "/srv/media")
