# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is Podman's own: the file for Quadlet, automatic updates, and volumes that a container leaves behind."""

from __future__ import annotations

import json

BASE = "docker.test/synapse:v1"
OWN_FILE = "/etc/containers/systemd/matrix-synapse.container.d/synapse-s3.conf"
UNIT_DROP_IN = "/etc/systemd/system/matrix-synapse.service.d/synapse-s3.conf"


def test_a_generated_service_is_changed_by_a_file_for_quadlet_alone(homeserver):
    is_quadlet = homeserver.facts["service_file"].endswith(".container")
    assert homeserver.host.file(OWN_FILE).exists == is_quadlet
    assert homeserver.host.file("/etc/systemd/system/matrix-synapse.service.d").exists != is_quadlet
    shown = homeserver.run("systemctl", "show", "--property=ExecStart", "matrix-synapse.service")
    words = shown.split("argv[]=")[1].split(" ; ")[0].split()
    assert words[-1].startswith("localhost/synapse-s3/synapse:")
    for added in ("AWS_CONFIG_FILE=/etc/synapse-s3/aws-config", "never"):
        assert any(word.endswith(added) for word in words)


def test_a_start_with_an_earlier_base_is_said(homeserver):
    """The scenario docker updates the image and starts Synapse; here the command runs alone, for Podman's ids."""
    is_quadlet = homeserver.facts["service_file"].endswith(".container")
    drop_in = homeserver.host.file(OWN_FILE if is_quadlet else UNIT_DROP_IN).content_string
    line = next(line for line in drop_in.splitlines() if " image inspect " in line)
    command = line.removeprefix("ExecStartPre=-").replace("$$", "$")
    base = homeserver.run("podman", "image", "inspect", "--format", "{{.Id}}", BASE).strip()
    other = homeserver.run("podman", "container", "inspect", "--format", "{{.Image}}", "synapse").strip()
    assert homeserver.run("sh", "-c", command) == ""
    try:
        homeserver.run("podman", "tag", other, BASE)
        assert f"{BASE} is another image now than the one that localhost/" in homeserver.run("sh", "-c", command)
    finally:
        homeserver.run("podman", "tag", base, BASE)


def test_podman_does_not_update_the_image_by_itself(homeserver):
    """No registry has it, so that `podman auto-update` would fail at every run."""
    shown = json.loads(homeserver.run("podman", "auto-update", "--dry-run", "--format", "json") or "[]") or []
    assert [update for update in shown if update["ContainerName"] == "synapse"] == []


def test_a_run_leaves_no_volume(homeserver):
    before = homeserver.run("podman", "volume", "ls", "--quiet")
    homeserver.run("systemctl", "start", "synapse-s3-migrate.service")
    assert homeserver.run("podman", "volume", "ls", "--quiet") == before
    # Those that Podman has made for the /data of the database and the S3 server.
    assert len(before.split()) <= 2


def test_the_job_has_every_network_of_synapse(homeserver):
    program = "import os; print(sorted(os.listdir('/sys/class/net')))"
    assert homeserver.run("/opt/synapse-s3/in-container", "python", "-c", program).strip() == "['eth0', 'eth1', 'lo']"


def test_a_line_of_the_job_is_in_the_journal_once(homeserver):
    lines = homeserver.run("journalctl", "--no-pager", "--output", "cat", "--lines", "200").splitlines()
    said = [line for line in lines if "uploaded" in line and "seconds" in line]
    assert len(said) == len(set(said))
