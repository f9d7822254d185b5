# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook installs on the host."""

from __future__ import annotations

import json
import re

import pytest


def test_synapse_runs_with_the_provider(homeserver):
    assert homeserver.host.service("matrix-synapse").is_running
    assert homeserver.run("curl", "--silent", "--fail", homeserver.facts["url"] + "/health") == "OK"
    python = homeserver.facts["python"]
    homeserver.run("runuser", "-u", "synapse", "--", python, "-c", "import s3_storage_provider")
    homeserver.run("runuser", "-u", "synapse", "--", python, "-c", "import synapse_s3_resilient_provider")


def test_the_restart_the_answer_and_the_round_trip_are_on_record(homeserver):
    applied = json.loads(homeserver.host.file("/etc/synapse-s3/applied.json").content_string)
    assert applied["restarted_with"] == applied["answered"] == applied["proven"] != ""


def test_there_is_one_block_in_the_operators_file(homeserver):
    text = homeserver.host.file(homeserver.facts["config_paths"][0]).content_string
    assert text.count("media_storage_providers:") - text.count("# media_storage_providers:") == 1
    assert text.count("BEGIN ANSIBLE MANAGED BLOCK matrix_ops.synapse_s3") == 1
    assert "# enough for videos" in text


@pytest.mark.parametrize(
    "path", ["/etc/synapse-s3/migrate.yml", "/etc/synapse-s3/environment", "/var/lib/synapse-s3/database.yaml"]
)
def test_only_synapses_user_can_read_the_secrets(homeserver, path):
    if path.startswith("/var"):
        homeserver.run("synapse-s3-shell", "-c", "true")
    file = homeserver.host.file(path)
    assert (file.mode, file.user) == (0o600, "synapse")


def test_the_configuration_is_no_longer_readable_by_others(homeserver):
    assert homeserver.host.file(homeserver.facts["config_paths"][0]).mode & 0o007 == 0


def test_the_timer_is_scheduled(homeserver):
    timer = homeserver.host.service("synapse-s3-migrate.timer")
    assert timer.is_running
    assert timer.is_enabled
    asked = "--property=Persistent,RandomizedDelayUSec,NextElapseUSecRealtime"
    shown = homeserver.run("systemctl", "show", "synapse-s3-migrate.timer", asked)
    assert "Persistent=yes" in shown
    assert "RandomizedDelayUSec=0" not in shown
    assert re.search(r"NextElapseUSecRealtime=\w{3} ", shown), shown


def test_the_service_is_sandboxed(homeserver):
    rating = homeserver.run("systemd-analyze", "security", "--no-pager", "synapse-s3-migrate.service").splitlines()[-1]
    levels = re.findall(r"[0-9]+\.[0-9]+", rating)
    assert [float(level) <= 2.0 for level in levels] == [True], rating


def test_the_service_has_low_priority(homeserver):
    shown = homeserver.run("systemctl", "show", "synapse-s3-migrate.service", "--property=Type,User,IOSchedulingClass")
    assert "Type=oneshot" in shown
    assert "User=synapse" in shown
    assert "IOSchedulingClass=3" in shown or "IOSchedulingClass=idle" in shown


def test_the_shell_has_all_variables_set(homeserver):
    script = "id -un; echo bucket=$BUCKET; s3_media_upload --no-progress update-db 0s"
    result = homeserver.host.run(f"echo '{script}' | synapse-s3-shell")
    assert result.rc == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[lines.index("bucket=synapse-media") - 1] == "synapse"
    assert any(re.fullmatch(r"Synced [0-9]+ new rows", line) for line in lines), lines


def test_the_status_says_where_the_media_is(homeserver):
    """As root and as Synapse's user, with what systemd says of the migrate job."""
    for command in (
        ("synapse-s3", "status", "--json"),
        ("runuser", "-u", "synapse", "--", "synapse-s3", "status", "--json"),
    ):
        found = json.loads(homeserver.run(*command))
        assert found["audit"]["not_asked_because"] == {}, found["report"]
        assert "local_content" not in found["audit"]["nowhere"]["kinds"], found["report"]
        assert found["bucket"]["list"] is True
        assert found["migrate"]["timer"] == "active"
        assert found["migrate"]["next_run"]
        assert found["providers"] == ["synapse_s3_resilient_provider.ResilientS3StorageProviderBackend"]
    checked = homeserver.host.run("synapse-s3 status --check")
    assert checked.rc == found["exit_status"]
    assert checked.stdout.startswith("SYNAPSE_S3 ")
