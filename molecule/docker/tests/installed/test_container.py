# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook installs for a Synapse in a container, and how the migrate job runs beside it."""

from __future__ import annotations

import json
import shlex

import pytest

SECRET = "core-of-the-secret-8fb2"


def inspected(homeserver, kind, name, template):
    return homeserver.run(homeserver.facts["engine"], kind, "inspect", "--format", template, name).strip()


def base_of(homeserver, image):
    return inspected(homeserver, "image", image, '{{index .Config.Labels "matrix_ops.synapse_s3.base_id"}}')


def test_synapse_runs_the_image_that_was_built_from_the_operators_own(homeserver):
    image = inspected(homeserver, "container", "synapse", "{{.Config.Image}}")
    # Podman puts the host before it, and leaves the algorithm of an id out.
    assert image.removeprefix("localhost/").startswith("synapse-s3/synapse:")
    base = inspected(homeserver, "image", "docker.test/synapse:v1", "{{.Id}}")
    assert base_of(homeserver, image) == "sha256:" + base.removeprefix("sha256:")
    assert homeserver.run("curl", "--silent", "--fail", homeserver.facts["url"] + "/health") == "OK"


def test_the_command_of_the_service_differs_in_the_image_and_the_file_for_boto3_alone(homeserver):
    if homeserver.facts["service_file"].endswith(".container"):
        pytest.skip("Quadlet writes the command; molecule/podman/tests compares the file that it is written from")
    unit = homeserver.host.file("/etc/systemd/system/matrix-synapse.service").content_string
    shown = homeserver.run("systemctl", "show", "--property=ExecStart", "matrix-synapse.service")
    words = shown.split("argv[]=")[1].split(" ; ")[0].split()
    added = [word for word in words if "synapse-s3" in word]
    assert len(added) == 3
    assert added[0].startswith("--env=AWS_CONFIG_FILE=")
    operators = shlex.split(unit.split("ExecStart=")[1].split("ExecStop")[0].replace("\\\n", " "))
    # What keeps Podman from asking a registry for the image.
    local = (
        ["--pull=never", "--label=io.containers.autoupdate=disabled"] if homeserver.facts["engine"] == "podman" else []
    )
    specifiers = {"%t": "/run", "%n": "matrix-synapse.service"}
    line = " ".join(operators[:-1])
    for specifier, value in specifiers.items():
        line = line.replace(specifier, value)
    assert [word for word in words if word not in added] == line.split() + local


def test_the_operators_label_and_the_file_for_boto3_are_in_the_container(homeserver):
    labels = json.loads(inspected(homeserver, "container", "synapse", "{{json .Config.Labels}}"))
    assert labels["operator"] == "somebody's own"
    mounts = json.loads(inspected(homeserver, "container", "synapse", "{{json .Mounts}}"))
    assert {mount["Destination"] for mount in mounts} == {"/data", "/etc/synapse-s3/aws-config"}


def test_there_is_one_block_in_the_operators_file(homeserver):
    file = homeserver.host.file(homeserver.facts["config_paths"][0])
    assert file.content_string.count("BEGIN ANSIBLE MANAGED BLOCK matrix_ops.synapse_s3") == 1
    assert (file.uid, file.mode & 0o077) == (991, 0)


def test_no_secret_is_in_an_image_or_a_container(homeserver):
    image = inspected(homeserver, "container", "synapse", "{{.Config.Image}}")
    engine = homeserver.facts["engine"]
    assert SECRET not in homeserver.run(engine, "history", "--no-trunc", image)
    assert SECRET not in homeserver.run(engine, "image", "inspect", image)
    assert SECRET not in homeserver.run(engine, "container", "inspect", "synapse")
    assert SECRET not in homeserver.run("systemctl", "cat", "matrix-synapse.service", "synapse-s3-migrate.service")


def test_the_migrate_job_runs_in_a_container_without_rights(homeserver):
    """What the job's own launcher starts: its user, its networks, its mounts, and what it may not do."""
    program = """import json, os
lines = open("/proc/self/status").read().splitlines()
status = dict(line.split(":\\t", 1) for line in lines if ":\\t" in line)
def writable(path):
    try:
        open(path + "/x", "w").close()
        os.unlink(path + "/x")
        return True
    except OSError:
        return False
paths = ["/", "/etc/synapse-s3", "/opt/synapse-s3/lib", "/data/media_store", "/var/lib/synapse-s3"]
print(json.dumps({
    "ids": [os.getuid(), os.getgid()], "capabilities": status["CapEff"], "new": status["NoNewPrivs"],
    "writable": [path for path in paths if writable(path)]}))
"""
    seen = json.loads(homeserver.run("/opt/synapse-s3/in-container", "--", "python", "-c", program))
    assert seen["ids"] == [991, 991]
    assert int(seen["capabilities"], 16) == 0
    assert seen["new"].strip() == "1"
    assert seen["writable"] == ["/data/media_store", "/var/lib/synapse-s3"]


@pytest.mark.parametrize("name", ["postgres", "s3"])
def test_the_job_resolves_the_names_of_synapses_network(homeserver, name):
    program = f"import socket; print(socket.gethostbyname({name!r}))"
    assert homeserver.run("/opt/synapse-s3/in-container", "python", "-c", program).count(".") == 3
    assert homeserver.host.run(f"getent hosts {name}").rc != 0


def test_exit_statuses_and_a_lock_across_containers(homeserver):
    holder = """import fcntl, time
lock = open("/var/lib/synapse-s3/lock", "a")
fcntl.flock(lock, fcntl.LOCK_EX)
time.sleep(20)
"""
    holding = f"/opt/synapse-s3/in-container -- python -c {shlex.quote(holder)}"
    held = homeserver.host.run(f"{holding} & sleep 6; synapse-s3-migrate; echo status=$?; wait")
    assert "status=3" in held.stdout, held.stdout + held.stderr
    assert "nothing was done" in held.stderr
    assert homeserver.host.run("synapse-s3-migrate --no-such-option").rc == 2


def test_the_dry_run_and_the_shell(homeserver):
    assert json.loads(homeserver.run("synapse-s3-migrate", "--dry-run", "--json"))["dry_run"] is True
    result = homeserver.host.run(
        "echo 'id -u; echo bucket=$BUCKET; s3_media_upload --no-progress update-db 0s' | synapse-s3-shell"
    )
    assert result.rc == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[lines.index("bucket=synapse-media") - 1] == "991"


def test_a_run_leaves_no_container(homeserver):
    homeserver.run("systemctl", "start", "synapse-s3-migrate.service")
    names = homeserver.run(homeserver.facts["engine"], "ps", "--all", "--format", "{{.Names}}").split()
    assert sorted(names) == ["postgres", "s3", "synapse"]


def test_the_status_has_what_only_the_host_can_be_asked(homeserver):
    found = json.loads(homeserver.run("synapse-s3", "status", "--json"))
    assert found["audit"]["not_asked_because"] == {}, found["report"]
    assert "local_content" not in found["audit"]["nowhere"]["kinds"], found["report"]
    assert found["providers"] == ["s3_storage_provider.S3StorageProviderBackend"]
    assert found["migrate"]["timer"] == "active"
    assert found["migrate"]["last_result"] == "success"
    assert found["migrate"]["image"]["changed"] is False
    checked = homeserver.host.run("synapse-s3 status --check")
    assert (checked.rc, checked.stdout.split()[0]) == (found["exit_status"], "SYNAPSE_S3")


def test_media_is_restored_as_synapses_user(homeserver):
    homeserver.tool("media.py", "upload", "/opt/test-tools/molecule-restore.json", "--count", "1")
    homeserver.run("systemctl", "start", "synapse-s3-migrate.service")
    assert homeserver.media == {}
    original = next(path for path in homeserver.bucket if "/local_content/" in path).partition("/")[2]
    media_id = "".join(original.split("/")[1:])
    mxc = f"mxc://{homeserver.facts['server_name']}/{media_id}"
    result = homeserver.host.run(f"synapse-s3 restore --json --id {mxc} --originals-only")
    assert result.rc == 0, result.stderr
    assert "synapse-s3-migrate.timer is active" in result.stderr
    assert json.loads(result.stdout)["restored"]["files"] == 1
    file = homeserver.host.file(f"{homeserver.facts['media_store_path']}/{original}")
    assert (file.uid, file.gid) == (991, 991)
    assert homeserver.host.run("synapse-s3 restore --dry-run --id mxc://elsewhere.test/NoSuchMedia").rc == 1
    homeserver.run("systemctl", "start", "synapse-s3-migrate.service")
    assert homeserver.media == {}


def test_the_metrics_are_written(homeserver):
    assert (
        "synapse_s3_offload_last_success_timestamp_seconds"
        in homeserver.host.file("/srv/metrics/synapse-s3.prom").content_string
    )


def test_the_lines_of_a_run_are_in_the_journal_under_its_name(homeserver):
    assert "uploaded" in homeserver.run("journalctl", "--no-pager", "-t", "synapse-s3-migrate")
