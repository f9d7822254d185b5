# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""media_offload from Ansible's zip file, which only root can read, with the work done as another user."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aws_proxy import HOST, AwsProxy
from fault_proxy import BlockedPut, FaultProxy
from media_host import MediaHost
from role_credentials import MetadataService
from s3_server import S3Server

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
COLLECTIONS = Path(__file__).parents[5]


class Access(NamedTuple):
    """How a run gets its keys and the address of the S3 server."""

    options: dict[str, Any]
    environment: dict[str, str]


def command_of(host: MediaHost, options: Mapping[str, Any]) -> list[str]:
    arguments = {
        "bucket": host.bucket,
        "region_name": "us-east-1",
        "state_dir": str(host.state_dir),
        "homeserver_config": [str(host.config)],
        **options,
    }
    arguments["synapse_configs"] = host.fetches_from(arguments)
    ansible = str(Path(sys.executable).parent / "ansible")
    where = ["localhost", "--inventory", "localhost,", "--connection", "local"]
    python = ["--extra-vars", f"ansible_python_interpreter={sys.executable}"]
    return [ansible, *where, *python, "-m", "matrix_ops.synapse_s3.media_offload", "-a", json.dumps(arguments)]


def environment_of(environment: Mapping[str, str]) -> dict[str, str]:
    # Without this test's own module path, so that the module must use its zip file.
    ambient = {name: value for name, value in os.environ.items() if name != "PYTHONPATH" and "AWS" not in name}
    return {**ambient, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_NOCOLOR": "1", **environment}


def result_of(output: str, errors: str) -> dict[str, Any]:
    dummy, arrow, text = output.partition(" => ")
    assert arrow, f"{output}\n{errors}"
    result: dict[str, Any] = json.loads(text)
    return result


def offload(host: MediaHost, access: Access, **options: Any) -> dict[str, Any]:
    done = subprocess.run(
        command_of(host, {**access.options, **options}),
        env=environment_of(access.environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return result_of(done.stdout, done.stderr)


@pytest.fixture
def metadata(s3: S3Server) -> Iterator[MetadataService]:
    with MetadataService(s3.access_key_id, s3.secret_access_key) as running:
        yield running


@pytest.fixture
def aws(host: MediaHost, s3: S3Server) -> Iterator[AwsProxy]:
    with AwsProxy(host.directory, s3.port) as running:
        host.own(running.ca_bundle)
        yield running


@pytest.fixture(params=["options", "environment", "credentials_file", "container", "instance"])
def keys(request: pytest.FixtureRequest, host: MediaHost, s3: S3Server, metadata: MetadataService) -> Access:
    pair = {"aws_access_key_id": s3.access_key_id, "aws_secret_access_key": s3.secret_access_key}
    if request.param == "options":
        return Access({name.removeprefix("aws_"): value for name, value in pair.items()}, {})
    if request.param == "environment":
        return Access({}, {name.upper(): value for name, value in pair.items()})
    if request.param == "credentials_file":
        file = host.directory / "credentials"
        file.write_text("\n".join(["[default]", *(f"{name} = {value}" for name, value in pair.items())]))
        host.own(file)
        file.chmod(0o600)
        return Access({}, {"AWS_SHARED_CREDENTIALS_FILE": str(file)})
    if request.param == "container":
        return Access({}, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{metadata.url}/container"})
    return Access({}, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url})


def test_all_sources_of_keys_with_an_endpoint(host: MediaHost, s3: S3Server, keys: Access) -> None:
    host.add_local()
    done = offload(host, keys, endpoint_url=s3.endpoint_url)
    assert done["changed"] and done["deleted"]["files"] == 2 == len(s3.keys(host.bucket)), json.dumps(done)
    assert host.state_dir.stat().st_uid == host.account.pw_uid != 0


def test_all_sources_of_keys_at_amazons_own_address(host: MediaHost, s3: S3Server, keys: Access, aws: AwsProxy) -> None:
    """No endpoint is set, so boto3 computes it; a proxy leads to it."""
    host.add_local()
    access = Access(keys.options, {**keys.environment, "HTTPS_PROXY": aws.proxy_url, "NO_PROXY": "127.0.0.1"})
    done = offload(host, access, addressing_style="path", ca_bundle=str(aws.ca_bundle))
    assert done["changed"] and done["deleted"]["files"] == 2 == len(s3.keys(host.bucket)), json.dumps(done)
    assert set(aws.connect_targets) == {f"{HOST}:443"}


@pytest.fixture
def static(s3: S3Server) -> Access:
    return Access(
        {
            "access_key_id": s3.access_key_id,
            "secret_access_key": s3.secret_access_key,
            "endpoint_url": s3.endpoint_url,
        },
        {},
    )


def messages_since(moment: float) -> list[str]:
    done = subprocess.run(
        ["journalctl", "--identifier=synapse-s3-migrate", f"--since=@{moment:.3f}", "--output=json", "--no-pager"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [str(json.loads(line)["MESSAGE"]) for line in done.stdout.splitlines()]


@pytest.mark.skipif(not Path("/run/systemd/journal/socket").exists(), reason="there is no systemd journal")
def test_a_run_is_logged_in_the_journal(sqlite_host: MediaHost, s3: S3Server, static: Access) -> None:
    host = sqlite_host
    host.add_local()
    bad = host.add_local(thumbnails=0).paths[0]
    host.put(bad, b"not what the row says", age_days=30)
    began = time.time()
    done = offload(host, static, prefix="media/")
    assert done["exit_status"] == 1, done
    offload(host, static, older_than="soon")
    said = messages_since(began)
    place = f"{host.media_path} to the bucket {host.bucket}, prefix media/"
    assert said[0] == f"run started by Ansible: {place}"
    assert [line for line in said if line.startswith(f"{bad}: ")] == [f"{bad}: {done['failed_files'][0]['error']}"]
    assert any(line.startswith("2 files (2.0 KiB) uploaded, 2 files (2.0 KiB) deleted") for line in said)
    assert "no duration" in said[-1] and s3.secret_access_key not in "".join(said)


@pytest.mark.parametrize("which", [0, -1], ids=["module", "worker"])
def test_a_signal_ends_it_with_its_report(sqlite_host: MediaHost, s3: S3Server, static: Access, which: int) -> None:
    """A signal to the process that Ansible started, or to its child that does the work."""
    host = sqlite_host
    for dummy in range(4):
        host.add_local(thumbnails=0)
    with FaultProxy(s3.endpoint_url) as proxy:
        standstill = BlockedPut(proxy)
        process = subprocess.Popen(
            command_of(host, {**static.options, "endpoint_url": proxy.endpoint_url}),
            env=environment_of({}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert standstill.reached.wait(60)
        began = time.monotonic()
        os.kill(pids_of_module()[which], signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
        assert time.monotonic() - began < 20
        standstill.go_on.set()
        result = result_of(output, errors)
        assert result["exit_status"] == 143 and result["error"].startswith("Stopped by SIGTERM"), result
        assert "Traceback" not in output + errors
        # At the same endpoint: another one would be refused where some of the uploads had arrived already.
        second = offload(host, static, endpoint_url=proxy.endpoint_url)
        assert second["exit_status"] == 0 and host.on_disk() == {}, second


def pids_of_module() -> list[int]:
    """Return the module's processes: the one that Ansible started, which is older, and its child."""
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                words = (directory / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended meanwhile
            if len(words) > 1 and b"AnsiballZ_media_offload" in words[1]:
                found.append(int(directory.name))
    return sorted(found)
