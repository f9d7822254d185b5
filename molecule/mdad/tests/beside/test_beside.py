# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Their playbook has Synapse and the storage provider; of this collection the host has the migrate job alone."""

from __future__ import annotations

import json

CONFIG = "/matrix/synapse/config/homeserver.yaml"


def test_nothing_of_theirs_has_changed(homeserver):
    before = json.loads(homeserver.host.file("/opt/test-tools/before.json").content_string)
    after = json.loads(homeserver.run("/usr/bin/python3", "/opt/test-tools/snapshot.py"))
    theirs = {path for path in before if path.startswith("/matrix") or "matrix-" in path}
    assert CONFIG in theirs
    assert {path: after.get(path) for path in theirs if before[path] != after.get(path)} == {}
    assert [path for path in set(after) - set(before) if path.startswith("/matrix") or "matrix-" in path] == []


def test_synapse_runs_their_image(homeserver):
    image = homeserver.run("docker", "container", "inspect", "--format", "{{.Config.Image}}", "matrix-synapse").strip()
    assert image == "localhost/matrixdotorg/synapse:v1-customized"
    assert "synapse-s3" not in homeserver.run("docker", "image", "ls", "--format", "{{.Repository}}")


def test_their_own_job_is_never_due(homeserver):
    timer = "matrix-synapse-s3-storage-provider-migrate.timer"
    shown = homeserver.run("systemctl", "show", "--property=ActiveState,NextElapseUSecRealtime", timer).splitlines()
    assert sorted(shown) == ["ActiveState=active", "NextElapseUSecRealtime="]


def test_the_job_runs_as_their_user_without_a_container(homeserver):
    shown = homeserver.run("systemctl", "show", "--property=User,Group", "synapse-s3-migrate.service").splitlines()
    assert sorted(shown) == ["Group=matrix", "User=matrix"]


def test_no_media_leaves_the_disk_while_their_configuration_leads_elsewhere(homeserver):
    """Each run reads their homeserver.yaml again, which their next run may change."""
    homeserver.run("cp", "--archive", CONFIG, "/opt/test-tools/homeserver.yaml")
    homeserver.run("sed", "--in-place", "s,prefix: molecule/,prefix: elsewhere/,", CONFIG)
    try:
        result = homeserver.host.run("synapse-s3-migrate")
        assert result.rc not in (0, 143), result.stdout
        assert CONFIG in result.stderr
        assert "elsewhere/" in result.stderr
    finally:
        homeserver.run("cp", "--archive", "/opt/test-tools/homeserver.yaml", CONFIG)
    homeserver.run("synapse-s3-migrate")
