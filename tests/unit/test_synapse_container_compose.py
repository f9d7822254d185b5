# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from the Compose project of a container, which file of ours it reads, and what is refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_container import (
    compose,
    compose_files,
    process,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_container.compose_files import (
    OverrideFile,
    Project,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_container.engine import Container
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.systemd_unit import Unit

OURS = "# matrix_ops.synapse_s3: what the container synapse runs. Do not edit it\nservices: {}\n"
OWN_NAME = "synapse-s3.override.yml"
SECRET = "the-password-of-the-database"
# As Compose 1.29.2 prints it.
PRINTED = """services:
  postgres:
    build:
      context: /srv/matrix/postgres
    image: postgres:15
  synapse:
    container_name: synapse
    environment:
      LONG: 'a very long value with spaces that goes on and on, so that an emitter
        would fold it: image: nothing of the kind, and more'
      image: another
    image: registry.test:5000/matrix/synapse:v1.163.2
    volumes:
    - /srv/matrix/data:/data:rw
  web:
    image: nginx
version: '3.9'
x-more:
  synapse:
    image: wrong
"""


def container(directory: Path, files: str = "docker-compose.yml", **labels: str) -> Container:
    given = {
        "project": "matrix",
        "service": "synapse",
        "project.working_dir": str(directory),
        "project.config_files": files,
        "version": "1.29.2",
        "oneoff": "False",
        "config-hash": "ab12",
        **{name.replace("__", "."): value for name, value in labels.items()},
    }
    return Container(
        engine="docker",
        name="synapse",
        image="registry.test:5000/matrix/synapse:v1.163.2",
        image_id="sha256:ab",
        process_id=0,
        working_directory="/",
        networks=["matrix"],
        mounts=[],
        labels={f"com.docker.compose.{name}": value for name, value in given.items() if value},
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that was started without naming a file."""
    (tmp_path / "docker-compose.yml").write_text("services: {}\n")
    return compose_files.project_of(container(tmp_path))


def chosen(project: Project, *unit_files: str) -> OverrideFile:
    return compose_files.override_file(project, OWN_NAME, "synapse", "matrix.service", unit_files)


def test_a_project_of_the_default_names(project: Project) -> None:
    directory = project.directory
    assert project.files == [f"{directory}/docker-compose.yml"]
    assert chosen(project) == OverrideFile(f"{directory}/docker-compose.override.yml", named=False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("compose.yaml", "compose.override.yaml"), ("docker-compose.yaml", "docker-compose.override.yaml")],
)
def test_the_file_has_the_name_that_belongs_to_the_projects(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / name).touch()
    found = chosen(compose_files.project_of(container(tmp_path, str(tmp_path / name))))
    assert found == OverrideFile(str(tmp_path / expected), named=False)


def test_our_own_file_is_found_again(project: Project) -> None:
    path = Path(project.directory, "compose.override.yml")
    path.write_text(OURS)
    files = [*project.files, str(path)]
    assert chosen(replace(project, files=files)) == OverrideFile(str(path), named=False)
    # It was made from the operator's file alone, as with -f, and the next start without that reads ours.
    assert chosen(project) == OverrideFile(str(path), named=False)


def test_a_file_of_ours_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").touch()
    made_from = "docker-compose.yml,docker-compose.override.yml"
    found = compose_files.project_of(container(tmp_path, made_from))
    assert found.files == [str(tmp_path / "docker-compose.yml")]


def test_paths_are_relative_to_where_compose_was_started(tmp_path: Path) -> None:
    """Compose 1 writes them as they were given; the project's directory is that of the first."""
    (tmp_path / "base").mkdir()
    for name in ("base/one.yml", "base/two.yml", "three.yml"):
        (tmp_path / name).touch()
    found = compose_files.project_of(container(tmp_path / "base", "base/one.yml,base/two.yml,three.yml"))
    assert found.files == [str(tmp_path / name) for name in ("base/one.yml", "base/two.yml", "three.yml")]


@pytest.mark.parametrize(
    ("labels", "remedy"),
    [
        ({"oneoff": "True"}, r"'compose run'.*docker compose up -d synapse"),
        ({"project__config_files": ""}, r"since release 1\.25.*standard input"),
        ({"project__working_dir": ""}, r"since release 1\.25"),
        ({"project__config_files": "/data/compose/1/docker-compose.yml"}, r"not on this host.*Portainer"),
        ({"project__environment_file": "no.env"}, r"not on this host: .*no\.env"),
    ],
)
def test_a_project_whose_files_are_unknown_is_refused(tmp_path: Path, labels: dict[str, str], remedy: str) -> None:
    (tmp_path / "docker-compose.yml").touch()
    with pytest.raises(ConfigurationError, match=remedy):
        compose_files.project_of(container(tmp_path, **labels))


def test_an_override_file_of_the_operators_names_the_line_to_write(project: Project) -> None:
    Path(project.directory, "docker-compose.override.yml").write_text("services: {synapse: {mem_limit: 2g}}\n")
    line = "COMPOSE_FILE=docker-compose.yml:docker-compose.override.yml:synapse-s3.override.yml"
    with pytest.raises(ConfigurationError, match=rf"(?s)Nothing was changed.*the line '{line}' into .*/\.env"):
        chosen(project)


def test_files_of_a_unit_name_the_option_to_add(project: Project) -> None:
    own = f"{project.directory}/{OWN_NAME}"
    with pytest.raises(ConfigurationError, match=f"add '-f {own}' to the command of matrix.service"):
        chosen(project, *project.files)


def test_files_that_are_named_by_hand_name_the_option_to_add(project: Project) -> None:
    own = f"{project.directory}/{OWN_NAME}"
    with pytest.raises(ConfigurationError, match=f"add '-f {own}' where you start the project"):
        chosen(replace(project, files=[f"{project.directory}/production.yml"]))


def test_files_of_a_variable_name_the_variable(project: Project) -> None:
    Path(project.directory, ".env").write_text("# files\nCOMPOSE_FILE='docker-compose.yml'\n")
    with pytest.raises(ConfigurationError, match=rf"add ':{OWN_NAME}' to COMPOSE_FILE in .*/\.env"):
        chosen(project)


@pytest.mark.parametrize("text", ["services: {synapse: {}}\n", "services:\n  synapse: {}\n", OURS])
def test_a_file_that_the_operator_names_is_ours(project: Project, text: str) -> None:
    path = Path(project.directory, OWN_NAME)
    path.write_text(text)
    Path(project.directory, ".env").write_text(f"COMPOSE_FILE=docker-compose.yml:{OWN_NAME}\n")
    assert chosen(project) == OverrideFile(str(path), named=True)
    Path(project.directory, ".env").unlink()
    assert chosen(replace(project, files=[*project.files, str(path)])) == OverrideFile(str(path), named=True)
    assert chosen(project, *project.files, str(path)) == OverrideFile(str(path), named=True)


def test_a_named_file_with_other_content_is_refused(project: Project) -> None:
    path = Path(project.directory, OWN_NAME)
    path.write_text("services: {synapse: {image: mine}}\n")
    with pytest.raises(ConfigurationError, match=r"holds something else than 'services: \{synapse: \{\}\}'"):
        chosen(project, *project.files, str(path))


def test_a_named_file_that_is_not_the_last_is_refused(project: Project) -> None:
    path = f"{project.directory}/{OWN_NAME}"
    with pytest.raises(ConfigurationError, match="has to be the last of the Compose files"):
        chosen(project, path, *project.files)


def test_the_remedy_works_as_it_is_written(project: Project) -> None:
    """What the message says to type makes a file that is accepted."""
    with pytest.raises(ConfigurationError) as refused:
        chosen(project, *project.files)
    command = str(refused.value).split("Make it: ")[1].split(". Then")[0]
    subprocess.run(["/bin/sh", "-c", command], check=True)
    assert chosen(project, *project.files, f"{project.directory}/{OWN_NAME}").named


def test_the_service_in_what_compose_1_prints() -> None:
    found = compose._service_of_yaml(PRINTED, "synapse")
    assert found is not None
    assert found["image"] == "registry.test:5000/matrix/synapse:v1.163.2"
    assert "build" not in found
    assert "build" in (compose._service_of_yaml(PRINTED, "postgres") or {})
    assert compose._service_of_yaml(PRINTED, "x-more") is None


def engine(config: str = PRINTED, answers: dict[str, tuple[int, str, str]] | None = None) -> Any:
    """Compose 1 with these files, and the answers to commands that contain the given words."""
    known = dict(answers or {})
    usual = {
        "docker compose version": (1, "", "docker: 'compose' is not a docker command."),
        "docker-compose version": (0, "1.29.2\n", ""),
        "config --hash": (0, "synapse ab12\n", ""),
        " config": (0, config, ""),
        "docker ps": (0, "synapse\n", ""),
        "docker container inspect": (0, "true\n", ""),
        "systemctl show --no-pager --type=service": (0, "", ""),
    }
    known.update({words: answer for words, answer in usual.items() if words not in known})

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        line = " ".join(command)
        return next((answer for words, answer in known.items() if words in line), (127, "", "No such file"))

    return run


def found(directory: Path, run: Any, **labels: str) -> compose.ComposeService:
    return compose.compose_service(run, container(directory, **labels), "", OWN_NAME)


@pytest.fixture
def directory(project: Project) -> Path:
    return Path(project.directory)


def test_a_service_that_docker_alone_restarts(directory: Path) -> None:
    service = found(directory, engine())
    options = ["--project-directory", str(directory), "--project-name", "matrix"]
    assert service.command == ["docker-compose", *options, "--file", f"{directory}/docker-compose.yml"]
    assert service.image == "registry.test:5000/matrix/synapse:v1.163.2"
    assert (service.unit, service.restarts_unit, service.running, service.has_own_image) == (None, False, True, False)
    result = compose.as_result(service)
    assert result["override_exists"] is False
    assert result["knows_pull_policy"] is False
    json.dumps(result)


def test_a_service_of_compose_2(directory: Path) -> None:
    config = {"services": {"synapse": {"image": "registry.test:5000/matrix/synapse:v1.163.2"}}}
    run = engine(json.dumps(config), {"docker compose version": (0, "2.26.1-4\n", "")})
    service = found(directory, run, version="2.26.1")
    assert service.command[:2] == ["docker", "compose"]
    assert compose.as_result(service)["knows_pull_policy"] is True


@pytest.mark.parametrize(("version", "kind"), [("2.26.1", "2 or later"), ("v5.0.1", "2 or later")])
def test_another_compose_than_the_one_that_made_the_container_is_refused(
    directory: Path, version: str, kind: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"Compose {kind} .*install it"):
        found(directory, engine(), version=version)


def refusals() -> dict[str, tuple[Any, str]]:
    said = f'Invalid interpolation format for "environment" option: "{SECRET}$"'
    unset = 'The DB_PASSWORD variable is not set. Defaulting to a blank string.\nmsg="The \\"A\\" variable is not set.'
    return {
        "unset": (engine(PRINTED, {" config": (0, PRINTED, unset)}), r"set nowhere: A, DB_PASSWORD.*/\.env"),
        "invalid": (engine(PRINTED, {" config": (1, "", said)}), r"what 'docker-compose config' in .* says"),
        "no service": (engine(PRINTED.replace("  synapse:", "  other:")), "they have no service synapse"),
        "build": (
            engine(PRINTED.replace("    container_name: synapse", "    build: /x")),
            "'build:'.*'docker build -t",
        ),
        "other image": (
            engine(PRINTED.replace("synapse:v1.163.2", "synapse:v1.170.0")),
            r"up -d synapse' there.*\.env",
        ),
        "other settings": (engine(PRINTED, {"config --hash": (0, "synapse cd34\n", "")}), "not as the Compose files"),
    }


@pytest.mark.parametrize("case", refusals())
def test_what_is_refused_before_anything_is_changed(directory: Path, case: str) -> None:
    run, remedy = refusals()[case]
    with pytest.raises(ConfigurationError, match=remedy) as refused:
        found(directory, run)
    assert SECRET not in str(refused.value)
    assert [path.name for path in directory.iterdir()] == ["docker-compose.yml"]


def test_the_oldest_format_is_refused(directory: Path) -> None:
    (directory / "docker-compose.yml").write_text("synapse:\n  image: synapse\n")
    with pytest.raises(ConfigurationError, match="Put its services below 'services:'"):
        found(directory, engine())


def test_a_new_tag_of_the_operators_is_taken_once_ours_runs(directory: Path) -> None:
    made = replace(container(directory), image="localhost/synapse-s3/synapse:1")
    made.labels["matrix_ops.synapse_s3.container"] = "synapse"
    service = compose.compose_service(engine(PRINTED.replace("v1.163.2", "v1.170.0")), made, "", OWN_NAME)
    assert service.image.endswith(":v1.170.0")
    assert service.has_own_image


def test_a_worker_in_the_project_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def runs_worker(process_id: int) -> bool:
        asked.append(process_id)
        return True

    monkeypatch.setattr(compose, "runs_worker", runs_worker)
    pid = (0, "77\n", "")
    run = engine(PRINTED, {"docker ps": (0, "synapse\nmedia\n", ""), "{{.State.Pid}}": pid})
    with pytest.raises(ConfigurationError, match="Workers of Synapse run in the containers media"):
        found(directory, run)
    assert asked == [77]


@pytest.mark.parametrize(("module", "expected"), [("generic_worker", True), ("homeserver", False)])
def test_a_worker_is_told_from_a_main_process(module: str, expected: bool) -> None:
    script = 'import time; print("ready", flush=True); time.sleep(30)'
    words = ["python3", "-c", script, "-m", f"synapse.app.{module}", "--config-path", "homeserver.yaml"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        try:
            started.stdout.readline()
            assert process.runs_worker(started.pid) is expected
        finally:
            started.kill()


def unit(*words: str, directory: str = "", **environment: str) -> Unit:
    return Unit("matrix.service", True, [list(words)], working_directory=directory, environment=environment)


UNITS = {
    "attached": (unit("/usr/bin/docker", "compose", "up", directory="/srv/matrix"), False, []),
    "detached": (unit("/usr/bin/docker-compose", "up", "-d", directory="/srv/matrix"), True, []),
    "shell": (unit("/bin/sh", "-c", "cd", "/srv/matrix", "&&", "docker", "compose", "up", "--detach"), True, []),
    "files": (
        unit("/usr/bin/docker", "compose", "-f", "/srv/matrix/a.yml", "--file=b.yml", "up", directory="/srv/matrix"),
        False,
        ["/srv/matrix/a.yml", "/srv/matrix/b.yml"],
    ),
    "variable": (
        unit("docker-compose", "up", directory="/srv/matrix", COMPOSE_FILE="a.yml"),
        False,
        ["/srv/matrix/a.yml"],
    ),
}


@pytest.mark.parametrize("case", UNITS)
def test_units_that_start_the_project(case: str) -> None:
    started, detaches, files = UNITS[case]
    assert compose._words_of_up(started) is not None
    assert compose._is_of_directory(started, "/srv/matrix")
    assert not compose._is_of_directory(started, "/srv/mat")
    assert compose._detaches(started) is detaches
    assert compose._files_of_unit(started, "/srv/matrix") == files


def test_a_unit_that_does_not_start_a_project() -> None:
    assert compose._words_of_up(unit("/usr/bin/docker", "compose", "pull", directory="/srv/matrix")) is None


def shown_units(directory: Path, *names: str) -> dict[str, tuple[int, str, str]]:
    texts = [
        f"Id={name}\nLoadState=loaded\nActiveState=active\nWorkingDirectory={directory}\n"
        "ExecStart={ path=/usr/bin/docker ; argv[]=/usr/bin/docker compose up ; ignore_errors=no ; }"
        for name in names
    ]
    return {
        "systemctl show --no-pager --type=service": (0, "\n\n".join(texts), ""),
        "systemctl show": (0, texts[0], ""),
    }


def test_the_unit_in_which_compose_runs_is_what_restarts(directory: Path) -> None:
    service = found(directory, engine(PRINTED, shown_units(directory, "matrix.service")))
    assert service.unit is not None
    assert service.unit.name == "matrix.service"
    assert service.restarts_unit


def test_several_units_are_refused(directory: Path) -> None:
    with pytest.raises(ConfigurationError, match="More than one service starts the Compose project"):
        found(directory, engine(PRINTED, shown_units(directory, "matrix.service", "other.service")))
