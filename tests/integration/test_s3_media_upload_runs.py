# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Concurrent runs, killed runs, and what other users of the host can see of a run."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fault_proxy import BlockedPut, FaultProxy
from media_host import MediaHost
from run_module import run_module_process
from s3_server import S3Server

SSE_KEY = "Sse-C-key-of-exactly-32-bytes-xx"
TIMEOUT = 60.0


@contextlib.contextmanager
def held_upload(host: MediaHost, s3: S3Server, proxy: FaultProxy, **options: Any) -> Iterator[Future[dict[str, Any]]]:
    """An upload that is blocked at its first PUT while the body of the with statement runs."""
    standstill = BlockedPut(proxy)
    with ThreadPoolExecutor(1) as pool:
        upload = pool.submit(host.upload, s3, delete=True, endpoint_url=proxy.endpoint_url, **options)
        try:
            assert standstill.reached.wait(TIMEOUT), upload.result(1) if upload.done() else "no PUT came"
            yield upload
        finally:
            standstill.go_on.set()


def processes() -> dict[int, str]:
    """The arguments of every process, as `ps` shows them to any user."""
    found = {}
    for entry in Path("/proc").iterdir():
        # A process may end between the two calls.
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                found[int(entry.name)] = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
    return found


def collections_path() -> str:
    """The directory above ansible_collections from which this collection is imported."""
    spec = importlib.util.find_spec("ansible_collections.matrix_ops.synapse_s3")
    assert spec and spec.submodule_search_locations
    return str(Path(spec.submodule_search_locations[0]).parents[2])


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def running_script() -> int:
    """Return the one process among our descendants that runs the launcher."""
    found = []
    for process, arguments in processes().items():
        # A process may end between the two calls.
        with contextlib.suppress(OSError):
            ancestor = process if "s3_media_upload launcher" in arguments else 0
            while ancestor > 1:
                ancestor = parent_of(ancestor)
                if ancestor == os.getpid():
                    found.append(process)
    (script,) = found
    return script


def assert_ends(process: int) -> None:
    deadline = time.monotonic() + 15
    stat = Path(f"/proc/{process}/stat")
    while time.monotonic() < deadline:
        try:
            # A zombie has ended too.
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.1)
    raise AssertionError(f"process {process} is still running")


@pytest.mark.usefixtures("offered")
def test_two_runs_at_once(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    with held_upload(sqlite_host, s3, proxy) as first:
        for check in (False, True):
            for second in (
                sqlite_host.run("update-db", check=check),
                sqlite_host.run("check-deleted", check=check),
                sqlite_host.upload(s3, check=check),
            ):
                assert second["failed"] and second["error"] == "LockedError", second
                assert "Another run" in second["msg"] and "nothing was done" in second["msg"]
    assert first.result(TIMEOUT)["files_deleted"] == 4


@pytest.mark.usefixtures("offered")
def test_killed_run_ends_its_script_and_can_be_repeated(
    sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy
) -> None:
    """After kill -9 of its parent the script ends too, and the next run continues."""
    files = sqlite_host.on_disk()
    arguments = sqlite_host.arguments(
        "upload", delete=True, **s3.connection(sqlite_host.bucket, endpoint_url=proxy.endpoint_url)
    )
    standstill = BlockedPut(proxy)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(run_module_process, "s3_media_upload", arguments)
        assert standstill.reached.wait(TIMEOUT)
        script = running_script()
        os.kill(parent_of(script), signal.SIGKILL)
        run.result(TIMEOUT)
        assert_ends(script)
        standstill.go_on.set()
    assert sqlite_host.on_disk() == files
    result = sqlite_host.upload(s3, delete=True)
    assert (result["files_deleted"], sqlite_host.on_disk()) == (4, {})
    assert {path: (s3.buckets / sqlite_host.bucket / path).read_bytes() for path in files} == files


@pytest.mark.usefixtures("offered")
def test_killed_script(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    with held_upload(sqlite_host, s3, proxy) as upload:
        os.kill(running_script(), signal.SIGKILL)
    result = upload.result(TIMEOUT)
    assert result["failed"] and "killed by SIGKILL" in result["msg"] and result["files_deleted"] == 0
    assert sqlite_host.upload(s3, delete=True)["files_deleted"] == 4


@pytest.mark.usefixtures("offered")
def test_no_secret_in_the_arguments_of_any_process(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    with held_upload(sqlite_host, s3, proxy, sse_customer_key=SSE_KEY):
        assert running_script()
        shown = "\n".join(processes().values())
    assert SSE_KEY not in shown
    assert s3.secret_access_key not in shown


@pytest.mark.usefixtures("offered")
def test_customer_key_is_sent_with_every_request(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    """The server of these tests ignores the key; only the headers of upload, HEAD and read-back matter here."""
    result = sqlite_host.upload(s3, delete=True, endpoint_url=proxy.endpoint_url, sse_customer_key=SSE_KEY)
    assert result["files_deleted"] == 4
    for request in proxy.requests:
        if "list-type" not in request.path:
            assert "x-amz-server-side-encryption-customer-key" in {name.lower() for name in request.headers}


@pytest.mark.usefixtures("offered")
def test_no_secret_in_output_or_readable_files(sqlite_host: MediaHost, s3: S3Server) -> None:
    options = s3.connection(sqlite_host.bucket, sse_customer_key=SSE_KEY, session_token=None)
    wrong = {**options, "secret_access_key": "Falsches-Geheimnis-1"}
    for connection in (options, wrong):
        configs = sqlite_host.fetches_from(connection)
        arguments = sqlite_host.arguments("upload", delete=True, synapse_configs=configs, **connection)
        done = run_module_process("s3_media_upload", arguments, diff=True)
        for secret in (SSE_KEY, connection["secret_access_key"]):
            assert secret not in done.stdout + done.stderr
    for path in sqlite_host.directory.rglob("*"):
        if path.is_file():
            content = path.read_bytes().decode("utf-8", "replace")
            assert SSE_KEY not in content and s3.secret_access_key not in content


@pytest.mark.usefixtures("offered")
def test_only_the_password_of_the_database_is_hidden(postgresql_host: MediaHost) -> None:
    section = postgresql_host.database.section()
    arguments = postgresql_host.arguments("update-db", database=section, homeserver_config=None)
    arguments["media_path"] = str(postgresql_host.media_path)
    done = run_module_process("s3_media_upload", arguments)
    assert '"rows_synced": 0' in done.stdout
    assert section["args"]["password"] not in done.stdout + done.stderr
    assert section["args"]["dbname"] in done.stdout
    assert (postgresql_host.state_dir / "database.yaml").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("offered")
def test_checksums_that_every_server_accepts(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    """boto3 since 1.36 adds a checksum to every upload, which many servers refuse."""
    assert sqlite_host.upload(s3, endpoint_url=proxy.endpoint_url)["files_uploaded"] == 4
    uploads = [request for request in proxy.requests if request.method == "PUT"]
    assert len(uploads) == 4
    for request in uploads:
        names = {name.lower() for name in request.headers}
        assert not {name for name in names if "checksum" in name or name == "x-amz-trailer"}


@pytest.mark.usefixtures("offered")
def test_aws_settings_of_the_shell_do_not_count(sqlite_host: MediaHost, s3: S3Server, tmp_path: Path) -> None:
    """AWS settings of the shell must reach neither the script nor our own client."""
    stray = tmp_path / "aws-config"
    stray.write_text("[default]\nendpoint_url = http://127.0.0.1:9\nregion = mars-1\n")
    environment = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_CONFIG_FILE": str(stray),
        "AWS_PROFILE": "no-such-profile",
        "AWS_SECRET_ACCESS_KEY": "another",
        "AWS_SESSION_TOKEN": "another",
        "PYTHONSTARTUP": str(stray),
    }
    result = sqlite_host.upload(s3, delete=True, environment=environment)
    assert result["files_deleted"] == 4


def test_database_settings_of_the_shell_do_not_count(postgresql_host: MediaHost) -> None:
    postgresql_host.add_local()
    environment = {"PGHOST": "203.0.113.1", "PGSERVICE": "nowhere", "PGOPTIONS": "-c search_path=nowhere"}
    assert postgresql_host.run("update-db", environment=environment)["rows_synced"] == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only a run as root uses a child process")
@pytest.mark.usefixtures("offered")
def test_terminated_module_ends_its_children(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    arguments = sqlite_host.arguments(
        "upload", delete=True, **s3.connection(sqlite_host.bucket, endpoint_url=proxy.endpoint_url)
    )
    standstill = BlockedPut(proxy)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(run_module_process, "s3_media_upload", arguments)
        assert standstill.reached.wait(TIMEOUT)
        script = running_script()
        module = parent_of(parent_of(script))
        os.kill(module, signal.SIGTERM)
        run.result(TIMEOUT)
        assert_ends(script)
        standstill.go_on.set()
    assert len(sqlite_host.on_disk()) == 4


def test_module_in_a_playbook_as_root_leaves_nothing_behind(sqlite_host: MediaHost, tmp_path: Path) -> None:
    """AnsiballZ unpacks into a directory of root's, which root must be able to remove after the module."""
    sqlite_host.add_local()
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=0o755)
    arguments = sqlite_host.arguments("update-db")
    playbook = tmp_path / "play.yml"
    task = {"name": "Add new media to the list", "matrix_ops.synapse_s3.s3_media_upload": arguments}
    play = {"name": "One module", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}
    playbook.write_text(json.dumps([play]))
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": collections_path(),
        "ANSIBLE_LOCAL_TEMP": str(scratch),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "TMPDIR": str(scratch),
    }
    program = str(Path(sys.executable).parent / "ansible-playbook")
    done = subprocess.run(
        [program, "-i", "localhost,", str(playbook)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed=1" in done.stdout
    assert list(scratch.rglob("*payload*")) == []
