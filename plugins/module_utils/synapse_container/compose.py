# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container that Docker's Compose makes: its operator's image, what recreates it, and the unit that may start it.

What Compose prints to its error output may quote values, keys among them, and is never shown.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..systemd_unit import Run, Unit, full_environment, loaded_services, unit_named
from .compose_files import (
    OverrideFile,
    Project,
    at,
    empty_content,
    files_of_next_start,
    override_file,
    project_of,
    variables_of,
)
from .engine import CONTAINER_LABEL, Container
from .process import runs_worker
from .unit import unit_of_container

_UNSET = re.compile(r'The [\\"]*([A-Za-z_][A-Za-z0-9_]*)[\\"]* variable is not set')
_FIRST_COMPOSE = 1


@dataclass(frozen=True)
class ComposeService:
    """The service of Compose that Synapse's container is.

    `command`: Compose with the project and the operator's files. `restarts_unit`: whether `unit` is what makes the
    container anew, because Compose runs in it as long as the container does.
    """

    project: Project
    override: OverrideFile
    command: list[str]
    image: str
    first_release: bool
    unit: Unit | None
    restarts_unit: bool
    running: bool
    has_own_image: bool


def compose_service(run: Run, container: Container, wanted_unit: str, own_name: str) -> ComposeService:
    """The service of this container. Raises ConfigurationError for what could not be run with another image.

    `own_name`: of the file that an operator may name. `wanted_unit`: the unit that starts the project, or empty.
    """
    project = project_of(container)
    first_release = _major(project.version) == _FIRST_COMPOSE
    program = _program(run, container, first_release)
    unit = _unit_of_project(run, project, container, wanted_unit)
    unit_files = _files_of_unit(unit, project.directory) if unit else []
    override = override_file(project, own_name, container.name, unit.name if unit else "", unit_files)
    command = [*program, "--project-directory", project.directory, "--project-name", project.name]
    for path in project.variable_files:
        command += ["--env-file", path]
    for path in files_of_next_start(project, unit_files):
        if path != override.path:
            command += ["--file", path]
    image = _operators_image(run, command, project, first_release)
    _refuse_unlike(run, container, command, project, image, first_release)
    _refuse_workers(run, container, project)
    return ComposeService(
        project=project,
        override=override,
        command=command,
        image=image,
        first_release=first_release,
        unit=unit,
        restarts_unit=unit is not None and not _detaches(unit),
        running=_is_running(run, container),
        has_own_image=CONTAINER_LABEL in container.labels,
    )


def as_result(service: ComposeService) -> dict[str, Any]:
    """What the roles need of it, as the module synapse_info documents it."""
    return {
        "project": service.project.name,
        "service": service.project.service,
        "directory": service.project.directory,
        "command": service.command,
        "override": service.override.path,
        "override_is_named": service.override.named,
        "override_empty": empty_content(service.project.service),
        "override_exists": Path(service.override.path).exists(),
        "knows_pull_policy": not service.first_release,
        "restarts_unit": service.restarts_unit,
        "has_own_image": service.has_own_image,
    }


def _major(version: str) -> int | None:
    match = re.match(r"v?(\d+)\.", version.strip())
    return int(match[1]) if match else None


def _program(run: Run, container: Container, first_release: bool) -> list[str]:
    """Compose of the kind that has made the container: the first one and the later ones name containers differently."""
    for program in (["docker", "compose"], ["docker-compose"]):
        status, output, _error = run([*program, "version", "--short"])
        major = _major(output) if status == 0 else None
        if major is not None and (major == _FIRST_COMPOSE) == first_release:
            return program
    kind = "1 (docker-compose)" if first_release else "2 or later (docker compose)"
    remedy = "start the project once with the Compose that is there" if first_release else "install it"
    raise ConfigurationError(
        f"Compose {kind} has made the container {container.name}, and root's search path does not have it any more: "
        f"{remedy}, see that the container's name is as before, and run again."
    )


def _operators_image(run: Run, command: Sequence[str], project: Project, first_release: bool) -> str:
    """The image in the operator's own files, with all variables resolved by Compose itself."""
    status, output, error = run([*command, "config", *([] if first_release else ["--format", "json"])])
    shown = f"'docker{'-' if first_release else ' '}compose config' in {project.directory}"
    unset = sorted(set(_UNSET.findall(error)))
    if unset:
        raise ConfigurationError(
            f"The Compose files in {project.directory} use variables that are set nowhere: {', '.join(unset)}. The "
            "container would be made anew without their values. Write each into "
            f"{variables_of(project)[-1]}, also those that are to be "
            "empty, and run again."
        )
    try:
        found = (_service_of_yaml if first_release else _service_of_json)(output, project.service)
    except (ValueError, KeyError):
        found = None
    if status != 0 or found is None:
        raise ConfigurationError(
            f"Compose does not accept the files in {project.directory}, or they have no service {project.service}. See "
            f"what {shown} says, and run again."
        )
    if "build" in found:
        raise ConfigurationError(
            f"The Compose service {project.service} in {project.directory} has 'build:', and so its next build would "
            "overwrite the image with the storage provider. Build it with 'docker build -t NAME …' yourself, write "
            "'image: NAME' in place of 'build:', run 'docker compose up -d', and run again."
        )
    if first_release and not re.search(r"(?m)^[\"']?services[\"']?\s*:", Path(project.files[0]).read_text("utf-8")):
        raise ConfigurationError(
            f"{project.files[0]} has the oldest format of Compose, without 'services:', in which other files cannot "
            "change an image. Put its services below 'services:', run 'docker-compose up -d', and run again."
        )
    return found["image"]


def _service_of_json(output: str, service: str) -> Mapping[str, str] | None:
    found: Mapping[str, str] | None = json.loads(output)["services"].get(service)
    return found


def _service_of_yaml(output: str, service: str) -> Mapping[str, str] | None:
    """The scalars of a service, as Compose 1 prints them: each key on a line, two spaces for each level."""
    section, found, here = "", {}, False
    for line in output.splitlines():
        match = re.match(r"( *)([\"']?)([^\s\"'][^\"']*?)\2:(?: (.*))?$", line)
        if match is None:
            continue
        indent, name, value = len(match[1]), match[3], match[4]
        if indent == 0:
            section, here = name, False
        elif indent == 2 and section == "services":
            here = name == service
        elif indent == 4 and here:
            found[name] = (value or "").strip("\"'")
    return found or None


def _refuse_unlike(
    run: Run, container: Container, command: Sequence[str], project: Project, image: str, first_release: bool
) -> None:
    """Refuses a container that would become another one in more than its image."""
    if CONTAINER_LABEL in container.labels:
        return
    alike = container.image == image
    # Later releases compute the value that they print in another way than the label.
    if alike and first_release and project.config_hash:
        status, output, _error = run([*command, "config", "--hash", project.service])
        alike = status != 0 or output.split()[-1:] == [project.config_hash]
    if not alike:
        raise ConfigurationError(
            f"The container {container.name} is not as the Compose files in {project.directory} would make it now, so "
            "a new one would differ in more than the storage provider. Run 'docker compose up -d "
            f"{project.service}' there, see that Synapse works, and run again. Variables that you set in your shell "
            f"belong into {variables_of(project)[-1]}."
        )


def _refuse_workers(run: Run, container: Container, project: Project) -> None:
    """A worker reads the same configuration, and would not start without the storage provider in its image."""
    by_project = f"label=com.docker.compose.project={project.name}"
    status, output, _error = run([container.engine, "ps", "--filter", by_project, "--format", "{{.Names}}"])
    workers = []
    for name in output.split() if status == 0 else []:
        if name == container.name:
            continue
        status, pid, _error = run([container.engine, "container", "inspect", "--format", "{{.State.Pid}}", "--", name])
        if status == 0 and pid.strip().isdigit() and int(pid) and runs_worker(int(pid)):
            workers.append(name)
    if workers:
        raise ConfigurationError(
            f"Workers of Synapse run in the containers {', '.join(workers)} of the Compose project {project.name}, "
            "which is not supported: they read the same configuration, and their image would not have the storage "
            "provider. Run Synapse as one process, or its workers without containers."
        )


def _is_running(run: Run, container: Container) -> bool:
    template = "{{.State.Running}}"
    status, output, _error = run([container.engine, "container", "inspect", "--format", template, "--", container.name])
    return status == 0 and output.strip() == "true"


def _unit_of_project(run: Run, project: Project, container: Container, wanted: str) -> Unit | None:
    """The service of systemd that starts the project; None where Docker alone starts its containers."""
    if wanted:
        return unit_of_container(run, container.name, wanted)
    found = []
    for service, commands in sorted(loaded_services(run).items()):
        if "compose" in commands and not service.startswith("synapse-s3-"):
            unit = unit_named(run, service)
            if unit is not None and _words_of_up(unit) and _is_of_directory(unit, project.directory):
                found.append(unit)
    if len(found) > 1:
        raise ConfigurationError(
            f"More than one service starts the Compose project in {project.directory}: "
            f"{', '.join(unit.name for unit in found)}. Set synapse_s3_synapse_service to the one that does."
        )
    return found[0] if found else None


def _words_of_up(unit: Unit) -> tuple[list[str], list[str]] | None:
    """The words between Compose and its `up`, and those after it; None if the unit does not run that."""
    words = [word.strip("\"';") for command in unit.commands for word in command]
    for index, word in enumerate(words):
        if PurePosixPath(word).name in ("docker-compose", "compose") and "up" in words[index:]:
            position = words.index("up", index)
            return words[index + 1 : position], words[position + 1 :]
    return None


def _is_of_directory(unit: Unit, directory: str) -> bool:
    named = re.compile(rf"(?:^|=)[\"']?{re.escape(directory)}(?:/|[\"']?$)")
    words = [word for command in unit.commands for word in command]
    return unit.working_directory.rstrip("/") == directory or any(named.search(word.rstrip(";")) for word in words)


def _detaches(unit: Unit) -> bool:
    found = _words_of_up(unit)
    return found is not None and any(word in ("-d", "--detach") for word in found[1])


def _files_of_unit(unit: Unit, directory: str) -> list[str]:
    """The files that the unit names, by options or in its environment."""
    options, _after = _words_of_up(unit) or ([], [])
    names = [options[i + 1] for i, word in enumerate(options[:-1]) if word in ("-f", "--file")]
    names += [word.partition("=")[2] for word in options if word.startswith("--file=")]
    if not names:
        environment = full_environment(unit)
        separator = environment.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        names = [name for name in environment.get("COMPOSE_FILE", "").split(separator) if name]
    above = unit.working_directory or directory
    return [at(above, name) for name in names]
