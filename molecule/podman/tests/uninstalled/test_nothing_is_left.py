# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uninstall leaves neither images nor containers in Podman, and the service runs the operator's image again."""

from __future__ import annotations


def test_podman_has_no_image_of_ours(homeserver):
    assert "synapse-s3" not in homeserver.run("podman", "image", "ls")
    assert "synapse-s3" not in homeserver.run("podman", "ps", "--all")


def test_synapse_runs_the_operators_image(homeserver):
    image = homeserver.run("podman", "container", "inspect", "--format", "{{.ImageName}}", "synapse").strip()
    assert image == "docker.test/synapse:v1"
