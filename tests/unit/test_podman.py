# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from Podman's containers, how others are run beside them, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import podman_output as real
import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_container import (
    engine,
    image,
    interpreter,
    podman,
    process,
    unit,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_container.engine import Mount
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_service import SynapseNotFoundError

DATA = Mount("/data", "/var/lib/synapse", "", True)
NOT_THERE = (1, "", "Error: no such container synapse")


def runner(answers: dict[str, tuple[int, str, str]]) -> Any:
    """Answers by the first words of a command; 127 as for a program that does not exist."""

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        line = " ".join(command)
        return next((answer for start, answer in answers.items() if line.startswith(start)), (127, "", "No such file"))

    return run


def answer(shown: dict[str, Any]) -> tuple[int, str, str]:
    return 0, json.dumps([shown]), ""


def of_docker(pid: int) -> tuple[int, str, str]:
    shown = {name: value for name, value in real.CONTAINER_5_4.items() if name != "ImageName"}
    return answer({**shown, "State": {"Pid": pid}})


@pytest.mark.parametrize("shown", [real.CONTAINER_4_3, real.CONTAINER_5_4])
def test_a_container_that_podman_has_shown(shown: dict[str, Any]) -> None:
    found = engine.parse_container("podman", shown)
    assert found.name == "synapse"
    assert found.image_id == "sha256:" + shown["Image"]
    assert found.image == shown["ImageName"]
    assert found.process_id == shown["State"]["Pid"]
    assert found.networks == ["matrix", "proxy"]
    assert found.ports == {"8008/tcp": "127.0.0.1:8008"}
    assert engine.operators_mounts(found.mounts, ["/etc/synapse-s3"]) == [DATA]
    assert found.labels[podman.UNIT_LABEL] == "matrix-synapse.service"
    assert podman.AUTO_UPDATE_LABEL in found.labels


@pytest.mark.parametrize(
    ("mode", "attached", "expected"),
    [
        ("bridge", {"podman": {}}, ["podman"]),
        ("bridge", {"proxy": {}, "matrix": {}}, ["matrix", "proxy"]),
        ("host", {}, ["host"]),
        ("none", {}, ["none"]),
        ("ns:/run/netns/x", {}, ["ns:/run/netns/x"]),
        # A pod's first container has another id after each start; Synapse's own name stays.
        ("container:0856fc63c0bf", {"matrix": {}}, ["container:synapse"]),
    ],
)
def test_networks(mode: str, attached: dict[str, Any], expected: list[str]) -> None:
    assert podman.networks("synapse", mode, attached) == expected


def test_podman_that_answers_as_docker_is_podman() -> None:
    """As the package podman-docker has it."""
    both = {"docker container inspect": answer(real.CONTAINER_4_3), "podman container": answer(real.CONTAINER_4_3)}
    assert engine.find_container(runner(both), "synapse").engine == "podman"


@pytest.mark.parametrize(("docker", "expected"), [(NOT_THERE, "podman"), (of_docker(0), "podman")])
def test_the_container_that_runs_is_chosen(docker: tuple[int, str, str], expected: str) -> None:
    answers = {"docker container inspect": docker, "podman container inspect": answer(real.CONTAINER_5_4)}
    assert engine.find_container(runner(answers), "synapse").engine == expected


@pytest.mark.parametrize(("pid", "words"), [(42, "both run"), (0, "neither runs")])
def test_two_containers_of_the_name_are_refused(pid: int, words: str) -> None:
    other = {**real.CONTAINER_5_4, "State": {"Pid": pid}}
    answers = {"docker container inspect": of_docker(pid), "podman container inspect": answer(other)}
    with pytest.raises(engine.SeveralContainersError, match=rf"{words}.*'docker rm synapse', 'podman rm synapse'"):
        engine.find_container(runner(answers), "synapse")


def test_a_container_of_rootless_podman_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = tmp_path / "4711"
    process.mkdir()
    (process / "cmdline").write_bytes(b"/usr/bin/conmon\0--api-version\0001\0-n\0synapse\0")
    if os.geteuid() == 0:
        os.chown(process, 54321, 54321)
    monkeypatch.setattr(podman, "PROC", tmp_path)
    with pytest.raises(SynapseNotFoundError, match=r"rootless Podman: it belongs to the user .*as root under systemd"):
        engine.find_container(runner({"podman": NOT_THERE}), "synapse")
    assert podman.rootless_owner("nginx") == ""


def test_a_user_namespace_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "42").mkdir()
    (tmp_path / "42" / "uid_map").write_text("         0     100000      65536\n")
    monkeypatch.setattr(process, "PROC", tmp_path)
    with pytest.raises(ConfigurationError, match=r"user namespace.*--userns=host, or take UserNS= out of its file"):
        process.synapse_process("synapse", 42, "/")


def test_the_image_in_a_unit_that_podman_has_generated(tmp_path: Path) -> None:
    file = tmp_path / "matrix-synapse.service"
    file.write_text(real.GENERATED_UNIT)
    run = runner({"systemctl show": (0, f"FragmentPath={file}\nDropInPaths=\n", "")})
    (line,) = unit.image_lines(run, file.name, "synapse-s3.conf")
    assert (line.directive, line.image, line.after) == ("ExecStart", "docker.test/synapse:v1", "")
    assert line.before.startswith("/usr/bin/podman run --cidfile=%t/%n.ctr-id --cgroups=no-conmon --rm")
    assert '--label "operator=somebody\'s own" ' in line.before


COMMANDS = {
    # As Podman 3 and earlier write it, for Type=forking.
    "/usr/bin/podman run --conmon-pidfile %t/%n-pid --cidfile %t/%n.ctr-id -d --name synapse s:v1 run": "s:v1",
    "/usr/bin/podman --log-level=info run --userns=host --tls-verify --name synapse localhost/s": "localhost/s",
    "/usr/bin/podman container run --rmi --http-proxy=false -dt --name=synapse synapse": "synapse",
}


@pytest.mark.parametrize(("command", "expected"), COMMANDS.items())
def test_the_image_in_a_command_of_podman(command: str, expected: str) -> None:
    assert unit._unit_line("ExecStart", command, "").image == expected


def test_the_unit_that_the_container_is_labelled_with_comes_first() -> None:
    shown = "Id=a.service\nLoadState=loaded\nActiveState=active\n"
    found = unit.unit_of_container(runner({"systemctl show": (0, shown, "")}), "synapse", "", "a.service")
    assert found is not None
    assert found.name == "a.service"


PLAN = image.ImagePlan(
    "podman", "synapse", "localhost/synapse-s3/synapse:1", "sha256:ab", "b", "python", [], [], [], 991, 991, ["p"]
)


def test_an_image_of_podman_keeps_health_checks_and_no_proxies() -> None:
    asked: list[str] = []

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        asked.append(" ".join(command))
        return 0, json.dumps([real.IMAGE_4_3]), ""

    image.build(run, PLAN)
    (install,) = (command for command in asked if command.startswith("podman run --pull=never"))
    assert "--http-proxy=false --image-volume=tmpfs" in install
    (commit,) = (command for command in asked if command.startswith("podman commit"))
    assert commit.startswith("podman commit --format=docker")
    assert 'LABEL matrix_ops.synapse_s3.made_for="synapse@sha256:ab"' in commit


def test_the_facts_of_an_image_that_podman_has_shown() -> None:
    found = engine.image_facts(runner({"podman image inspect": answer(real.IMAGE_4_3)}), "podman", "x")
    assert found is not None
    assert found["id"] == "sha256:" + real.IMAGE_4_3["Id"]
    assert found["labels"][engine.CONTAINER_LABEL] == "synapse"


def test_images_without_a_name_are_left_out() -> None:
    listed = "localhost/synapse-s3/synapse:1\n<none>:<none>\n"
    assert engine.own_images(runner({"podman image ls": (0, listed, "")}), "podman", "synapse") == [
        "localhost/synapse-s3/synapse:1"
    ]


def test_containers_beside_synapses_label_nothing_under_selinux(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert podman.security_options() == []
    (tmp_path / "enforce").write_text("1")
    monkeypatch.setattr(podman, "SELINUX", tmp_path / "enforce")
    assert podman.security_options() == ["--security-opt=label=disable"]
    options = interpreter.mount_options(engine.parse_container("podman", real.CONTAINER_5_4), writable=True)
    assert options == ["--mount=type=bind,source=/var/lib/synapse,target=/data"]


@pytest.mark.parametrize(
    ("environment", "networks"),
    [
        ({}, ["--network=matrix", "--network proxy"]),
        ({"SYNAPSE_S3_NETWORK": "container:synapse"}, ["--network=container:synapse"]),
        ({"SYNAPSE_S3_PIP": "1"}, ["--network=host"]),
    ],
)
def test_the_program_runs_one_container_with_all_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], networks: list[str]
) -> None:
    monkeypatch.setattr(interpreter, "DIRECTORY", tmp_path)
    container = replace(engine.parse_container("podman", real.CONTAINER_5_4), mounts=[DATA])
    program = interpreter.write_python(container, "/usr/bin/python", "sha256:ab", [])
    fake = tmp_path / "podman"
    fake.write_text('#!/bin/sh\n[ "$1" = image ] || echo "$@"\n')
    fake.chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    called = subprocess.run(
        [program, "-c", "1"], env={**path, **environment}, capture_output=True, text=True, check=True
    )
    words = called.stdout
    assert words.startswith("run --log-driver=none --rm --interactive --pull=never --read-only")
    assert words.rstrip().endswith("sha256:ab -c 1")
    assert sorted(network for network in networks if network in words) == sorted(networks)
    assert words.count("--network") == len(networks)


@pytest.mark.parametrize(
    ("said", "expected"), [("podman version 4.9.3\n", (4, "4.9.3")), ("podman version 5.0.0-rc1\n", (5, "5.0.0-rc1"))]
)
def test_the_release_of_podman(said: str, expected: tuple[int, str]) -> None:
    assert podman.release(runner({"podman --version": (0, said, "")})) == expected
