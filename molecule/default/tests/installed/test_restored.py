# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Media comes back from the bucket as it was, by the playbook and by the command, and Synapse serves it."""

from __future__ import annotations

import json

TIMER = "synapse-s3-migrate.timer"
SERVICE = "synapse-s3-migrate.service"
UPLOADED = "/opt/test-tools/molecule-restore.json"


def states(homeserver, paths):
    """Mode, owner, group, size and content of these files."""
    root = homeserver.facts["media_store_path"]
    found = homeserver.run("find", root, "-type", "f", "-printf", "%P\\t%m %u %g %s\\n")
    states = dict(line.split("\t") for line in found.splitlines())
    sums = homeserver.run("sh", "-c", f"cd {root} && find . -type f -exec sha256sum {{}} +")
    digests = {line.split(None, 1)[1][2:]: line.split()[0] for line in sums.splitlines()}
    return {path: (states.get(path), digests.get(path)) for path in paths}


def test_the_playbook_restores_everything_and_leaves_the_timer_off(homeserver, play):
    homeserver.tool("media.py", "upload", UPLOADED, "--count", "2")
    before = states(homeserver, homeserver.media)
    homeserver.run("systemctl", "start", SERVICE)
    assert homeserver.media == {}

    checked = play("matrix_ops.synapse_s3.restore", "--check", "--diff")
    assert checked.status == 0, checked.output
    assert "Would be restored" in checked.output
    assert homeserver.media == {}
    assert homeserver.host.service(TIMER).is_running and homeserver.host.service(TIMER).is_enabled

    restored = play("matrix_ops.synapse_s3.restore")
    assert restored.status == 0, restored.output
    assert restored.changed == 2
    assert "is stopped and disabled" in restored.output
    assert states(homeserver, before) == before
    assert not homeserver.host.service(TIMER).is_running and not homeserver.host.service(TIMER).is_enabled
    homeserver.tool("media.py", "check", UPLOADED)

    again = play("matrix_ops.synapse_s3.restore")
    assert (again.status, again.changed) == (0, 0), again.output
    homeserver.run("systemctl", "enable", "--now", TIMER)


def test_the_command_restores_what_is_named_and_the_playbook_starts_the_timer_again(homeserver, play):
    homeserver.run("systemctl", "start", SERVICE)
    assert homeserver.media == {}
    original = next(path for path in homeserver.bucket if "/local_content/" in path).partition("/")[2]
    media_id = "".join(original.split("/")[1:])
    result = homeserver.host.run(f"synapse-s3 restore --json --id mxc://example.org/{media_id} --originals-only")
    assert result.rc == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["restored"]["files"] == 1 and "list" not in report["requests"]
    assert list(homeserver.media) == [original]
    assert f"{TIMER} is active" in result.stderr
    owner = homeserver.host.file(f"{homeserver.facts['media_store_path']}/{original}").user
    assert owner == "synapse"

    settings = json.dumps({"synapse_s3_restore_keep": False, "synapse_s3_restore_media_ids": [media_id]})
    restored = play("matrix_ops.synapse_s3.restore", "-e", settings)
    assert restored.status == 0, restored.output
    assert homeserver.host.service(TIMER).is_running and homeserver.host.service(TIMER).is_enabled
    named = play("matrix_ops.synapse_s3.restore", "-e", settings.replace(media_id, "NoSuchMedia"))
    assert named.status != 0 and "NoSuchMedia" in named.output
    assert homeserver.host.service(TIMER).is_running and homeserver.host.service(TIMER).is_enabled
    homeserver.run("systemctl", "start", SERVICE)
    assert homeserver.media == {}
