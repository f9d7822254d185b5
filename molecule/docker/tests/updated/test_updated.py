# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An update of the operator's image: said in the journal, built again by the next play; the one before is gone."""

from __future__ import annotations

import json


def test_the_start_with_an_earlier_base_was_said(homeserver):
    journal = homeserver.host.file("/opt/test-tools/journal-after-update").content_string
    localhost = "localhost/" if homeserver.facts["engine"] == "podman" else ""
    assert f"docker.test/synapse:v1 is another image now than the one that {localhost}synapse-s3/synapse:" in journal
    assert "Run the playbook matrix_ops.synapse_s3.site." in journal


def test_synapse_runs_an_image_of_the_new_base(homeserver):
    engine = homeserver.facts["engine"]
    image = homeserver.run(engine, "container", "inspect", "--format", "{{.Config.Image}}", "synapse").strip()
    template = '{{index .Config.Labels "updated"}} {{index .Config.Labels "matrix_ops.synapse_s3.base_id"}}'
    updated, base = homeserver.run(engine, "image", "inspect", "--format", template, image).split()
    assert updated == "yes"
    now = homeserver.run(engine, "image", "inspect", "--format", "{{.Id}}", "docker.test/synapse:v1").strip()
    assert base == "sha256:" + now.removeprefix("sha256:")


def test_the_image_before_is_gone(homeserver):
    images = homeserver.run(homeserver.facts["engine"], "image", "ls", "--format", "{{.Repository}}").split()
    assert [image.removeprefix("localhost/") for image in images].count("synapse-s3/synapse") == 1


def test_synapse_has_the_resilient_storage_provider(homeserver):
    content = homeserver.host.file(homeserver.facts["config_paths"][0]).content_string
    assert content.count("module: synapse_s3_resilient_provider.ResilientS3StorageProviderBackend") == 1
    assert "s3_storage_provider.S3StorageProviderBackend" not in content
    shown = homeserver.run(
        "docker", "exec", "synapse", "python", "-c", "import synapse_s3_resilient_provider as p; print(p.__file__)"
    )
    assert "site-packages/synapse_s3_resilient_provider/" in shown


def test_what_the_official_one_needed_is_gone(homeserver):
    assert not homeserver.host.file("/etc/synapse-s3/aws-config").exists
    mounts = homeserver.run("docker", "container", "inspect", "--format", "{{json .Mounts}}", "synapse")
    assert {mount["Destination"] for mount in json.loads(mounts)} == {"/data"}


def test_the_media_still_opens(homeserver):
    assert '"differing": []' in homeserver.tool("media.py", "check", "/opt/test-tools/molecule-media.json")
