# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from a container and from the unit that runs it, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_container import (
    engine,
    image,
    interpreter,
    unit,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_container.engine import Mount
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_service import SynapseNotFoundError

ID = "sha256:" + "e5" * 32
DATA = Mount("/data", "/srv/synapse", "", True)
MEDIA = Mount("/data/media_store", "/mnt/media", "", True)
NAMED = Mount("/keys", "/var/lib/docker/volumes/keys/_data", "keys", False)


def shown(**changes: Any) -> dict[str, Any]:
    """The parts of `docker container inspect` that are read, of a container on a network that a user has made."""
    return {
        "Name": "/synapse",
        "Image": ID,
        "Config": {"Image": "docker.io/matrixdotorg/synapse:v1.163.2", "Labels": None, "WorkingDir": ""},
        "State": {"Pid": 4242},
        "HostConfig": {
            "NetworkMode": "matrix",
            "PortBindings": {"8008/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8010"}], "9000/tcp": None},
        },
        "NetworkSettings": {"Networks": {"matrix": {}, "proxy": {}}},
        "Mounts": [
            {"Type": "bind", "Source": "/srv/synapse", "Destination": "/data", "RW": True},
            {"Type": "volume", "Name": "keys", "Source": NAMED.source, "Destination": "/keys", "RW": False},
            {"Type": "tmpfs", "Source": "", "Destination": "/tmp"},
        ],
        **changes,
    }


def runner(answers: dict[str, tuple[int, str, str]]) -> Any:
    """Answers by the first words of a command; 127 as for a program that does not exist."""

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        line = " ".join(command)
        return next((answer for start, answer in answers.items() if line.startswith(start)), (127, "", "No such file"))

    return run


def test_a_container_of_docker() -> None:
    found = engine.find_container(runner({"docker container inspect": (0, json.dumps([shown()]), "")}), "synapse")
    assert (found.engine, found.name, found.image_id, found.process_id) == ("docker", "synapse", ID, 4242)
    assert found.networks == ["matrix", "proxy"]
    assert found.ports == {"8008/tcp": "127.0.0.1:8010"}
    assert found.mounts == [DATA, NAMED]
    assert found.working_directory == "/"


def test_mounts_have_one_order() -> None:
    """Docker shows several in another order after each start, and the command of the migrate job has them all."""
    turned = shown(Mounts=shown()["Mounts"][::-1])
    found = engine.find_container(runner({"docker container inspect": (0, json.dumps([turned]), "")}), "synapse")
    assert found.mounts == [DATA, NAMED]


def test_a_container_of_podman() -> None:
    """It names the image apart from its configuration, and leaves the algorithm of the id out."""
    podman = shown(Image=ID.partition(":")[2], ImageName="localhost/synapse:v1")
    answers = {"docker": (1, "", "Error: No such container: synapse"), "podman": (0, json.dumps([podman]), "")}
    found = engine.find_container(runner(answers), "synapse")
    assert (found.engine, found.image, found.image_id) == ("podman", "localhost/synapse:v1", ID)


@pytest.mark.parametrize(
    ("mode", "networks", "expected"),
    [
        ("default", {"bridge": {}}, ["bridge"]),
        ("bridge", {"bridge": {}, "matrix": {}}, ["bridge", "matrix"]),
        ("host", {"host": {}}, ["host"]),
        ("container:abc", {}, ["container:abc"]),
        ("matrix", {"proxy": {}, "matrix": {}}, ["matrix", "proxy"]),
    ],
)
def test_networks(mode: str, networks: dict[str, Any], expected: list[str]) -> None:
    found = shown(HostConfig={"NetworkMode": mode}, NetworkSettings={"Networks": networks})
    assert engine.parse_container("docker", found).networks == expected


def test_the_deepest_mount_counts() -> None:
    mounts = [DATA, MEDIA]
    assert engine.on_host(mounts, "/data/homeserver.yaml") == "/srv/synapse/homeserver.yaml"
    assert engine.on_host(mounts, "/data/media_store/local_content") == "/mnt/media/local_content"
    assert engine.on_host(mounts, "/data/media_store") == "/mnt/media"
    assert engine.on_host(mounts, "/database/homeserver.yaml") == ""


def test_what_the_collection_has_mounted_is_not_the_operators() -> None:
    """It is mounted by its own path, and gone as soon as the setting that needs it is."""
    settings = Mount("/etc/synapse-s3/aws-config", "/etc/synapse-s3/aws-config", "", False)
    bundle = Mount("/etc/ssl/own.pem", "/etc/ssl/own.pem", "", False)
    other = Mount("/etc/synapse-s3-other", "/etc/synapse-s3-other", "", True)
    mounts = [DATA, settings, bundle, other]
    assert engine.operators_mounts(mounts, ["/etc/synapse-s3", "/etc/ssl/own.pem"]) == [DATA, other]


@pytest.mark.parametrize("label", ["com.docker.swarm.service.name", "io.kubernetes.pod.name"])
def test_an_orchestrator_is_refused(label: str) -> None:
    found = shown(Config={"Image": "synapse", "Labels": {label: "synapse"}})
    with pytest.raises(ConfigurationError, match=r"Swarm or Kubernetes .*under systemd"):
        engine.parse_container("docker", found)


def test_a_host_without_the_container_names_the_remedies() -> None:
    answers = {"docker": (1, "", "Error: No such container: synapse\n")}
    with pytest.raises(
        SynapseNotFoundError, match=r"docker: Error: No such container: synapse.*synapse_s3_synapse_container.*rootless"
    ):
        engine.find_container(runner(answers), "synapse")
    with pytest.raises(SynapseNotFoundError, match="neither docker nor podman is on this host"):
        engine.find_container(runner({}), "synapse")


# Commands as operators write them: the line, and the image in it or None.
COMMANDS = {
    "/usr/bin/docker run --rm --name synapse -v /srv:/data matrixdotorg/synapse:latest": "matrixdotorg/synapse:latest",
    "/usr/bin/docker run --rm --init -p 8008:8008 -e A=b image:v1 run --config-path /data/h.yaml": "image:v1",
    "-/usr/bin/docker container run -d --name=synapse -p8008:8008 registry.test:5000/b:v1": "registry.test:5000/b:v1",
    '/usr/bin/podman run --replace --sdnotify=conmon -dti --label "a=it\'s b" --network net l/synapse': "l/synapse",
    "/usr/bin/docker create --name=synapse --read-only --tmpfs=/tmp --user=991:991 image@sha256:ab": "image@sha256:ab",
    "/usr/bin/env docker run -it image": "image",
    "/usr/bin/docker start --attach synapse": None,
    "-/usr/bin/docker pull matrixdotorg/synapse:latest": None,
    "-/usr/bin/docker rm --force synapse": None,
    "/usr/bin/docker stop run": None,
    "/usr/bin/python -m synapse.app.homeserver": None,
    "/usr/bin/docker run --rm --name synapse": None,
}


@pytest.mark.parametrize(("command", "expected"), COMMANDS.items())
def test_the_image_in_a_command(command: str, expected: str | None) -> None:
    line = unit._unit_line("ExecStart", command, "synapse.service")
    assert line.image == (expected or "")
    assert line.before + line.image + line.after == command


def unit_files(folder: Path, texts: dict[str, str]) -> Any:
    """systemctl as it shows a unit with these files, the first of which is the unit itself."""
    paths = []
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        paths.append(str(path))
    return runner({"systemctl show": (0, f"FragmentPath={paths[0]}\nDropInPaths={' '.join(paths[1:])}\n", "")})


def test_lines_are_taken_with_their_quotes_and_without_our_own_file(tmp_path: Path) -> None:
    texts = {
        "synapse.service": "[Unit]\nDescription=x\n[Service]\nExecStartPre=-/usr/bin/docker rm -f synapse\n"
        "# a comment\n"
        "ExecStart=/usr/bin/docker run --rm --name synapse \\\n  # in between\n"
        '  --label "a=b  c" \\\n  image:v1 \\\n  run\n'
        "ExecStop=/usr/bin/docker stop synapse\n[Install]\nWantedBy=multi-user.target\n",
        "synapse.service.d/synapse-s3.conf": "[Service]\nExecStart=\nExecStart=/usr/bin/docker run ours\n",
    }
    lines = unit.image_lines(unit_files(tmp_path, texts), "synapse.service", "synapse-s3.conf")
    assert [(line.directive, line.image, line.after) for line in lines] == [("ExecStart", "image:v1", " run")]
    assert lines[0].before == '/usr/bin/docker run --rm --name synapse --label "a=b  c" '


def test_a_drop_in_of_the_operator_counts(tmp_path: Path) -> None:
    texts = {
        "synapse.service": "[Service]\nExecStart=/usr/bin/docker run old\n",
        "synapse.service.d/override.conf": "[Service]\nExecStart=\nExecStart=/usr/bin/docker run new\n",
    }
    lines = unit.image_lines(unit_files(tmp_path, texts), "synapse.service", "synapse-s3.conf")
    assert [line.image for line in lines] == ["new"]


def test_a_container_that_is_created_before_it_is_started(tmp_path: Path) -> None:
    """As matrix-docker-ansible-deploy has it: all lines of the directive with the image are kept, in their order."""
    text = (
        "[Service]\nExecStartPre=-/usr/bin/docker rm -f synapse\n"
        "ExecStartPre=/usr/bin/docker create --name synapse image\n"
        "ExecStartPre=/usr/bin/docker network connect db synapse\nExecStart=/usr/bin/docker start --attach synapse\n"
    )
    lines = unit.image_lines(unit_files(tmp_path, {"synapse.service": text}), "synapse.service", "synapse-s3.conf")
    assert [line.image for line in lines] == ["", "image", ""]
    assert {line.directive for line in lines} == {"ExecStartPre"}


@pytest.mark.parametrize("written", ["${IMAGE}", '"image:v1"', "image:%i"])
def test_an_image_that_is_not_written_plainly_names_the_line(tmp_path: Path, written: str) -> None:
    run = unit_files(tmp_path, {"synapse.service": f"[Service]\nExecStart=/usr/bin/docker run --rm {written} run\n"})
    with pytest.raises(ConfigurationError, match=r"in full in this line: ExecStart=/usr/bin/docker run --rm .* run"):
        unit.image_lines(run, "synapse.service", "synapse-s3.conf")


def test_a_unit_that_starts_a_container_made_before_is_refused(tmp_path: Path) -> None:
    run = unit_files(tmp_path, {"synapse.service": "[Service]\nExecStart=/usr/bin/docker start -a synapse\n"})
    with pytest.raises(ConfigurationError, match=r"no line of it runs an image .*docker run --rm"):
        unit.image_lines(run, "synapse.service", "synapse-s3.conf")


SERVICES = {
    "matrix-synapse.service": "docker run --rm --name synapse -p 8008:8008 docker.test/synapse:v1",
    "postgres.service": "docker run --rm --name postgres docker.test/synapse:v1 postgresql",
    "synapse-s3-migrate.service": "docker run --rm --name synapse x",
    "other.service": "docker run --rm --name synapse-admin x",
}


def test_the_unit_is_found_by_the_name_of_its_container() -> None:
    loaded = "\n\n".join(
        f"Id={name}\nLoadState=loaded\n"
        f"ExecStart={{ path=/usr/bin/docker ; argv[]=/usr/bin/{command} ; ignore_errors=no ; }}"
        for name, command in SERVICES.items()
    )
    one = loaded.split("\n\n", maxsplit=1)[0] + "\nActiveState=active"
    run = runner({"systemctl show --no-pager --type=service": (0, loaded, ""), "systemctl show": (0, one, "")})
    found = unit.unit_of_container(run, "synapse", "")
    assert found is not None
    assert found.name == "matrix-synapse.service"
    assert unit.unit_of_container(run, "nginx", "") is None


def test_the_options_for_the_same_mounts() -> None:
    container = engine.parse_container("docker", shown())
    assert interpreter.mount_options(container, writable=False) == [
        "--mount=type=bind,source=/srv/synapse,target=/data",
        "--mount=type=volume,source=keys,target=/keys,readonly",
    ]
    assert not any("readonly" in option for option in interpreter.mount_options(container, writable=True))


PLAN = image.ImagePlan(
    "docker",
    "synapse",
    "synapse-s3/synapse:1",
    ID,
    "base:v1",
    "/usr/bin/python",
    ["boto3"],
    ["provider==1"],
    [],
    991,
    991,
    ["p"],
)


def image_answers(**changes: tuple[int, str, str]) -> tuple[list[str], Any]:
    config = {"Entrypoint": ["/start.py"], "Cmd": None, "User": "", "Labels": {"a": "b"}}
    answers = {"docker image inspect": (0, json.dumps([{"Id": ID, "Config": config}]), ""), **changes}
    asked: list[str] = []

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        asked.append(" ".join(command))
        return next((answer for start, answer in answers.items() if asked[-1].startswith(start)), (0, "", ""))

    return asked, run


def test_a_new_image_starts_as_the_operators_own() -> None:
    asked, run = image_answers()
    image.build(run, PLAN)
    (commit,) = (command for command in asked if command.startswith("docker commit"))
    assert 'ENTRYPOINT ["/start.py"]' in commit
    assert "--change=CMD []" in commit
    assert f'LABEL matrix_ops.synapse_s3.base_id="{ID}"' in commit
    assert "docker rm --force --volumes synapse-s3-build-synapse" in asked[-2]


def test_files_are_mounted_for_the_installation_alone() -> None:
    written: dict[str, str] = {}
    asked, answer = image_answers()

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        for word in command:
            if word.endswith(":/run/files:ro"):
                above = Path(word.removeprefix("--volume=").removesuffix(":/run/files:ro"))
                written.update(
                    {str(path.relative_to(above)): path.read_text() for path in above.rglob("*") if path.is_file()}
                )
                written["directory"] = str(above)
        return answer(command)

    image.build(
        run, dataclasses.replace(PLAN, files={"package/code.py": "x = 1\n", "package-1.dist/METADATA": "Name: p\n"})
    )

    assert not Path(written.pop("directory")).exists()
    assert written["package/code.py"] == "x = 1\n"
    assert not any("/run/files:ro" in command for command in asked if not command.startswith("docker run --pull=never"))


@pytest.mark.parametrize("name", ["../outside.py", "a/../../outside.py", "/etc/outside.py"])
def test_a_file_outside_of_the_packages_is_refused(name: str) -> None:
    asked, run = image_answers()
    with pytest.raises(ConfigurationError, match="no path below"):
        image.build(run, dataclasses.replace(PLAN, files={name: ""}))
    assert not any(command.startswith("docker run") for command in asked)


def test_a_failed_installation_leaves_nothing_and_says_why() -> None:
    asked, run = image_answers(
        **{"docker run --pull=never": (1, "", "Collecting boto3\nERROR: no matching distribution")}
    )
    with pytest.raises(ConfigurationError, match=r"(?s)Synapse was left as it was.*ERROR: no matching distribution"):
        image.build(run, PLAN)
    assert not any(command.startswith("docker commit") for command in asked)
    assert asked[-1] == "docker rm --force --volumes synapse-s3-build-synapse"


def test_an_image_that_cannot_import_the_provider_is_removed() -> None:
    asked, run = image_answers(**{"docker run --rm": (1, "", "ModuleNotFoundError: No module named 'p'")})
    with pytest.raises(ConfigurationError, match="user 991 cannot import p"):
        image.build(run, PLAN)
    assert asked[-1] == "docker image rm synapse-s3/synapse:1"
