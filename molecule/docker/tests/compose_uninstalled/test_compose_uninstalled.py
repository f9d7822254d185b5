# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the removal the Compose project is the operator's again."""

from __future__ import annotations


def test_synapse_runs_the_operators_image(homeserver):
    template = "{{.Config.Image}} {{.State.Status}}"
    shown = homeserver.run("docker", "container", "inspect", "--format", template, "synapse").split()
    assert shown == ["docker.test/synapse:v1", "running"]


def test_a_start_by_hand_changes_nothing(homeserver):
    before = homeserver.run("docker", "container", "inspect", "--format", "{{.Id}}", "postgres", "synapse")
    homeserver.run("sh", "-c", "cd /srv/matrix && docker-compose up --detach")
    assert homeserver.run("docker", "container", "inspect", "--format", "{{.Id}}", "postgres", "synapse") == before


def test_no_image_is_left(homeserver):
    assert "synapse-s3" not in homeserver.run("docker", "image", "ls", "--format", "{{.Repository}}")
