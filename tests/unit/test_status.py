# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command says one state, why, and what to do; whatever is in the way is part of it and never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.status.units import migrate_job
from audit_state import File, Media, State
from object_store import Object, ObjectStore, object_store
from scripted_store import error

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = str(ROOT / "plugins" / "module_utils")
SECRET = "Geheim-4711"
ONE = ((32, "crop"),)
MEDIA = [Media("", "AbCdEfGh", thumbnails=ONE), Media("example.org", "ZyXwVuTs", thumbnails=ONE)]
OURS, THEIRS = MEDIA[0].path, MEDIA[1].path
SAFE = {path: Object(10) for row in MEDIA for path in (row.path, row.thumbnail(32, "crop"))}
UNITS = """Id=synapse-s3-migrate.service
LoadState=loaded
ActiveState=inactive
Result=success
ExecMainStatus=0
ExecMainStartTimestamp=Thu 2026-11-26 05:00:12 UTC
ExecMainExitTimestamp=Thu 2026-11-26 05:03:00 UTC

Id=synapse-s3-migrate.timer
LoadState=loaded
ActiveState=active
NextElapseUSecRealtime=Fri 2026-11-27 05:12:00 UTC
"""


class Ended(NamedTuple):
    status: int
    output: str
    errors: str

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.output)
        return found

    @property
    def codes(self) -> list[str]:
        return [reason["code"] for reason in self.report["reasons"]]


class Host:
    """A host with a configuration file of the migrate job, which names a real database, disk and store."""

    def __init__(self, directory: Path, store: ObjectStore, state: State) -> None:
        self.directory = directory
        self.store = store
        self.media_path = directory / "media_store"
        self.database = {"name": "sqlite3", "args": state.write(directory).args}
        self.homeserver = directory / "homeserver.yaml"
        self.provider: dict[str, Any] = {"bucket": "media", "endpoint_url": store.server.endpoint_url}
        self.s3: dict[str, Any] = {
            **self.provider,
            "region_name": "us-east-1",
            "access_key_id": "id",
            "secret_access_key": SECRET,
        }
        self.engine: dict[str, Any] = {"offload": {"state_dir": str(directory / "state")}}

    def run(self, *options: str, units: str = UNITS) -> Ended:
        entry = {"module": "s3_storage_provider.S3StorageProviderBackend", "config": self.provider}
        content = {"media_store_path": str(self.media_path), "database": self.database}
        self.homeserver.write_text(yaml.safe_dump({**content, "media_storage_providers": [entry]}))
        config = self.directory / "migrate.yml"
        config.write_text(yaml.safe_dump({"homeserver_config": [str(self.homeserver)], "s3": self.s3, **self.engine}))
        config.chmod(0o600)
        command = [sys.executable, "-m", "synapse_media.cli", "status", "--config", str(config)]
        done = subprocess.run(
            [*command, "--host-facts", units, *options],
            env={**os.environ, "PYTHONPATH": PACKAGE},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout
        assert SECRET not in done.stderr + done.stdout
        return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def store() -> Iterator[ObjectStore]:
    with object_store(dict(SAFE)) as opened:
        yield opened


@pytest.fixture
def host(tmp_path: Path, store: ObjectStore) -> Host:
    return Host(tmp_path, store, State(list(MEDIA), {OURS: File(10)}))


def test_a_healthy_host(host: Host) -> None:
    ended = host.run("--json")
    assert (ended.status, ended.errors) == (0, "")
    report = ended.report
    assert (report["state"], report["exit_status"], report["reasons"]) == ("HEALTHY", 0, [])
    assert report["audit"]["both_equal"]["files"] == 1
    assert report["audit"]["bucket_only"]["files"] == 3
    assert report["audit"]["run_would"]["move"] == {"files": 1, "bytes": 10}
    assert report["audit"]["run_would"]["verify"]["files"] == 1
    assert report["bucket"] == {"list": True, "read": True, "write": None}
    assert report["migrate"] == {
        "known": True,
        "installed": True,
        "timer": "active",
        "running": False,
        "next_run": "2026-11-27T05:12:00Z",
        "last_started": "2026-11-26T05:00:12Z",
        "last_ended": "2026-11-26T05:03:00Z",
        "last_result": "success",
        "last_exit_status": 0,
    }
    assert report["disk"]["size"] > report["disk"]["free"] > 0
    text = host.run().output
    assert text == report["report"].replace(
        report["report"].partition("disk: ")[2].partition("\n")[0], text.partition("disk: ")[2].partition("\n")[0]
    )
    assert "   state: HEALTHY\n" in text
    assert "errors: No known lost media\n" in text
    assert "    next: 2026-11-27T05:12:00Z\n" in text
    checked = host.run("--check")
    assert checked.status == 0
    assert checked.output.startswith("SYNAPSE_S3 OK - no known lost media | lost=0;;0 ")
    assert checked.output.count("\n") == 1 and "both=1 bucket_only=3" in checked.output
    # Nothing was written.
    assert not (host.directory / "state").exists()


@pytest.mark.parametrize(
    ("gone", "level", "code"),
    [(OURS, 2, "lost"), (THEIRS, 1, "lost_remote")],
)
def test_lost_media(host: Host, gone: str, level: int, code: str) -> None:
    del host.store.objects[gone]
    (host.media_path / OURS).unlink()
    ended = host.run("--json")
    assert ended.status == 0
    assert (ended.report["state"], ended.report["exit_status"]) == ("DEGRADED", level)
    assert ended.codes == [code]
    assert ended.report["audit"]["nowhere"]["examples"] == [gone]
    reason = ended.report["reasons"][0]
    assert reason["action"] and reason["see"].endswith(f"docs/status.md#{code.replace('_', '-')}")
    checked = host.run("--check")
    assert checked.status == level
    assert checked.output.startswith(f"SYNAPSE_S3 {('', 'WARNING', 'CRITICAL')[level]} - 1 media of ")
    assert gone in host.run().output


@pytest.mark.parametrize(
    ("objects", "code"),
    [
        ({OURS: Object(7)}, "different"),
        ({THEIRS: Object(7)}, "wrong_length"),
        ({THEIRS: Object(10, storage_class="GLACIER")}, "archived"),
    ],
)
def test_what_needs_attention(host: Host, objects: dict[str, Object], code: str) -> None:
    host.store.objects.update(objects)
    ended = host.run("--json")
    assert ended.report["state"] == "DEGRADED"
    assert ended.codes == [code]


def test_lost_thumbnails_and_orphans_are_no_reason(host: Host) -> None:
    del host.store.objects[MEDIA[0].thumbnail(32, "crop")]
    host.store.objects.update({"local_content/Or/ph/an": Object(3), "other/x": Object(3)})
    ended = host.run("--json")
    assert ended.report["state"] == "HEALTHY"
    text = host.run().output
    assert "Synapse makes the 1 thumbnails that are nowhere anew" in text
    assert "no row, in the bucket" in text and "not Synapse's, in the bucket" in text


class TestWhatCannotBeAsked:
    def check(self, host: Host, code: str, *words: str) -> Ended:
        ended = host.run("--json")
        assert ended.status == 0
        assert (ended.report["state"], ended.report["exit_status"]) == ("UNKNOWN", 3)
        assert code in ended.codes
        reason = next(reason for reason in ended.report["reasons"] if reason["code"] == code)
        assert all(word in reason["text"] + reason["action"] for word in words), reason
        assert ended.report["audit"]["nowhere"]["files"] == 0
        assert "so nothing is said of what could not" in " ".join(ended.report["report"].split())
        checked = host.run("--check")
        assert (checked.status, checked.errors) == (3, "")
        assert checked.output.startswith("SYNAPSE_S3 UNKNOWN - ")
        return ended

    def test_a_bucket_that_refuses(self, host: Host) -> None:
        host.store.before = lambda request: error(403, "AccessDenied")
        ended = self.check(host, "bucket_not_asked", "Listing")
        assert ended.report["bucket"]["list"] is False

    def test_a_store_that_is_away(self, host: Host) -> None:
        host.store.server.close()
        self.check(host, "bucket_not_asked")

    def test_a_database_that_is_away(self, host: Host) -> None:
        Path(host.database["args"]["database"]).unlink()
        ended = self.check(host, "database_not_asked", "cannot be opened")
        # The rest is said all the same.
        assert ended.report["audit"]["bucket_only"]["files"] == 3

    def test_a_disk_that_is_not_there(self, host: Host) -> None:
        shutil.rmtree(host.media_path)
        self.check(host, "disk_not_asked", "does not exist", "mount")

    def test_a_disk_that_is_not_mounted(self, host: Host) -> None:
        """An empty mount point looks like a disk on which everything is lost."""
        shutil.rmtree(host.media_path)
        host.media_path.mkdir()
        self.check(host, "disk_not_asked", "is no media store", "Mount")

    def test_a_database_of_another_server(self, host: Host) -> None:
        Path(host.database["args"]["database"]).unlink()
        State().write(host.directory)
        self.check(host, "empty_database", "no media at all")

    def test_another_location_than_the_one_used_before(self, host: Host) -> None:
        state = host.directory / "state"
        state.mkdir(mode=0o700)
        (state / "location").write_text(json.dumps({"bucket": "earlier", "prefix": ""}))
        self.check(host, "bucket_not_asked", "'earlier'")
        assert host.store.server.requests == []

    def test_objects_that_cannot_be_read(self, host: Host) -> None:
        host.store.before = lambda request: error(403, "AccessDenied") if request.method == "HEAD" else None
        ended = self.check(host, "unreadable")
        assert ended.report["bucket"]["read"] is False


def test_what_is_lost_outweighs_what_cannot_be_asked(host: Host) -> None:
    host.provider = {"bucket": "elsewhere"}
    ended = host.run("--json")
    assert (ended.report["state"], ended.report["exit_status"]) == ("DEGRADED", 2)
    assert ended.codes == ["provider"]


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("Result=success\nExecMainStatus=0", "Result=exit-code\nExecMainStatus=1", "run_failed"),
        ("ActiveState=active", "ActiveState=inactive", "timer"),
    ],
)
def test_a_migrate_job_that_does_not_work(host: Host, before: str, after: str, code: str) -> None:
    assert before in UNITS
    ended = host.run("--json", units=UNITS.replace(before, after))
    assert (ended.report["state"], ended.report["exit_status"]) == ("DEGRADED", 1)
    assert ended.codes == [code]


def test_a_new_server_without_media_is_healthy(host: Host) -> None:
    """It has neither rows nor directories."""
    shutil.rmtree(host.media_path)
    Path(host.database["args"]["database"]).unlink()
    State().write(host.directory)
    shutil.rmtree(host.media_path)
    host.media_path.mkdir()
    host.store.objects.clear()
    ended = host.run("--json")
    assert (ended.report["state"], ended.codes) == ("HEALTHY", [])


def test_without_systemd_the_job_is_not_known_and_no_reason(host: Host) -> None:
    ended = host.run("--json", units="")
    assert ended.report["state"] == "HEALTHY"
    assert ended.report["migrate"]["known"] is False
    assert "systemd could not be asked" in host.run(units="").output


def test_an_image_that_was_updated(host: Host) -> None:
    image = "\nImage=matrixdotorg/synapse:latest\nImageId=sha256:{}\nImageBuiltFrom=sha256:aaa\n"
    assert host.run("--json", units=UNITS + image.format("aaa")).codes == []
    ended = host.run("--json", units=UNITS + image.format("bbb"))
    assert ended.codes == ["image"]
    assert ended.report["migrate"]["image"]["changed"] is True


def test_what_would_be_moved_leaves_the_limits_of_the_disk_out(host: Host) -> None:
    assert "without regard" not in host.run().output
    host.engine["offload"].update(local_cache_size="50G", min_bucket_age="7d")
    said = " ".join(host.run().output.split())
    assert "without regard to local_cache_size, min_bucket_age, which a dry run" in said


def test_the_settings_of_upstreams_script_are_enough(host: Host) -> None:
    host.engine = {"migrate": {"state_dir": str(host.directory / "state"), "older_than": "1d", "delete_local": True}}
    assert host.run("--json").report["audit"]["run_would"]["move"]["files"] == 1


def test_usage(host: Host) -> None:
    usage = host.run("--json", "--usage").report["usage"]
    assert sorted(usage["kind"], key=lambda row: str(row["name"])) == [
        {"name": "local", "files": 1, "bytes": 10},
        {"name": "remote", "files": 1, "bytes": 10},
    ]
    assert usage["origin"] == [{"name": "example.org", "files": 1, "bytes": 10}]
    assert usage["uploader"] == [{"name": "@a:b", "files": 1, "bytes": 10}]
    assert usage["type"] == [{"name": "image/png", "files": 2, "bytes": 20}]
    assert sum(row["files"] for row in usage["last_use"]) == 2
    assert "by uploader\n  @a:b " in host.run("--usage").output


def test_a_wrong_configuration_file_is_refused(host: Host) -> None:
    host.engine = {"offload": {"state_dir": str(host.directory / "state"), "older_than": "soon"}}
    refused = host.run()
    assert refused.status == 2 and "older_than" in refused.errors
    checked = host.run("--check")
    assert checked.status == 3 and checked.output.startswith("SYNAPSE_S3 UNKNOWN - ")


def test_a_job_that_never_ran() -> None:
    text = UNITS.replace("Thu 2026-11-26 05:00:12 UTC", "n/a").replace("Result=success", "Result=exit-code")
    job = migrate_job(text)
    assert job.known and job.last_started is None and not job.last_run_failed
