# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Synapse in a Compose project: one container of it runs another image, by a file that Compose reads itself."""

from __future__ import annotations

import json

OVERRIDE = "/srv/matrix/docker-compose.override.yml"


def ids(homeserver):
    listing = homeserver.run("docker", "container", "inspect", "--format", "{{.Name}} {{.Id}}", "postgres", "synapse")
    return dict(line.split() for line in listing.splitlines())


def test_synapse_runs_the_image_that_the_file_of_ours_names(homeserver):
    image = homeserver.run("docker", "container", "inspect", "--format", "{{.Config.Image}}", "synapse").strip()
    assert image.startswith("localhost/synapse-s3/synapse:")
    text = homeserver.host.file(OVERRIDE).content_string
    assert f'image: "{image}"' in text
    assert "core-of-the-secret-8fb2" not in text
    assert "pull_policy" not in text


def test_no_other_container_was_made_anew(homeserver):
    lines = homeserver.host.file("/opt/test-tools/compose-ids").content_string.splitlines()
    before = dict(line.split() for line in lines)
    now = ids(homeserver)
    assert now["/postgres"] == before["/postgres"]
    assert now["/synapse"] != before["/synapse"]


def test_a_start_by_hand_changes_nothing(homeserver):
    before = ids(homeserver)
    homeserver.run("sh", "-c", "cd /srv/matrix && docker-compose up --detach")
    assert ids(homeserver) == before


def test_no_unit_has_an_addition_and_the_job_waits_for_docker(homeserver):
    assert homeserver.host.run("ls /etc/systemd/system/*.d/synapse-s3*").stdout == ""
    after = homeserver.run("systemctl", "show", "--property=After", "synapse-s3-migrate.service")
    assert "docker.service" in after


def test_the_job_reaches_the_database_by_the_socket_that_synapse_has(homeserver):
    configuration = homeserver.host.file("/var/lib/synapse/homeserver.yaml").content_string
    assert configuration.count('host: "/var/run/postgresql"') == 1
    found = json.loads(homeserver.run("synapse-s3", "status", "--json"))
    assert found["audit"]["not_asked_because"] == {}, found["report"]


def test_the_job_runs_beside_it(homeserver):
    homeserver.run("systemctl", "start", "synapse-s3-migrate.service")
    assert homeserver.media == {}


def test_every_picture_comes_from_the_bucket(homeserver):
    assert '"differing": []' in homeserver.tool("media.py", "check", "/opt/test-tools/molecule-media.json")
