# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Compose project of a container: its files, and the one among them by which the container runs another image."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..synapse_media.errors import ConfigurationError
from ..systemd_unit import parse_environment_file
from .engine import Container

LABEL = "com.docker.compose."
DEFAULT_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
# What Compose reads beside a file of a default name, without being told.
OVERRIDE_NAMES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
_VARIABLES = ".env"


@dataclass(frozen=True)
class Project:
    """What the labels of a container tell of its project. Paths are absolute.

    `files`: those that the container was made from. `version`: of the Compose that made it.
    """

    name: str
    service: str
    directory: str
    files: list[str]
    variable_files: list[str]
    version: str
    config_hash: str


@dataclass(frozen=True)
class OverrideFile:
    """The file of ours. `named`: the operator names it, so that it has to stay, without content, after a removal."""

    path: str
    named: bool


def in_project(container: Container) -> bool:
    """Whether Docker's Compose has made the container."""
    # podman-compose writes these labels too.
    return container.engine == "docker" and f"{LABEL}project" in container.labels


def project_of(container: Container) -> Project:
    """The project of the container. Raises ConfigurationError if the labels do not tell which files it is made of."""
    labels = {name[len(LABEL) :]: value for name, value in container.labels.items() if name.startswith(LABEL)}
    if labels.get("oneoff") == "True":
        raise ConfigurationError(
            f"The container {container.name} was made by 'compose run', which makes a new one each time. Start the "
            f"service with 'docker compose up -d {labels.get('service', '')}'."
        )
    directory = labels.get("project.working_dir", "")
    names = [name for name in labels.get("project.config_files", "").split(",") if name]
    if not directory or not names:
        raise ConfigurationError(
            f"The labels of the container {container.name} do not tell which files its Compose project is made of. "
            "Compose writes them since release 1.25, and never where it reads its file from standard input. Start the "
            "project from files with such a release, and run again."
        )
    variable_files = [name for name in labels.get("project.environment_file", "").split(",") if name]
    project = Project(
        name=labels["project"],
        service=labels.get("service", ""),
        directory=directory,
        # Ours may be gone: a removal that was cut off has not made the container anew.
        files=[path for path in _absolute(directory, names) if not _is_override(path) or Path(path).exists()],
        variable_files=[at(directory, name) for name in variable_files],
        version=labels.get("version", ""),
        config_hash=labels.get("config-hash", ""),
    )
    missing = [path for path in [*project.files, *project.variable_files] if not Path(path).is_file()]
    if missing or not project.files:
        raise ConfigurationError(
            f"The Compose project of the container {container.name} is made of files that are not on this host: "
            f"{', '.join(missing)}. Where a program such as Portainer keeps them to itself, keep them in a directory "
            "of the host instead, and start the project there with 'docker compose up -d'."
        )
    return project


def _is_override(path: str) -> bool:
    return Path(path).name in OVERRIDE_NAMES


def _absolute(directory: str, names: Sequence[str]) -> list[str]:
    """Compose 1 writes paths as they were given. The directory of the first is that of the project."""
    if Path(names[0]).is_absolute():
        return [at(directory, name) for name in names]
    above = Path(names[0]).parent
    return [at(directory, name if Path(name).is_absolute() else os.path.relpath(name, above)) for name in names]


def at(directory: str, name: str) -> str:
    """The path of a file that is named as seen from the directory."""
    return os.path.normpath(Path(directory, name))


def override_file(
    project: Project, own_name: str, container: str, unit: str, unit_files: Sequence[str]
) -> OverrideFile:
    """The file by which the service is to run another image. Raises ConfigurationError if none would be read.

    `own_name`: of a file that the operator may name. `unit`, `unit_files`: the unit that starts the project, and the
    files that it names.
    """
    files = files_of_next_start(project, unit_files)
    named = [path for path in files if Path(path).name == own_name]
    if named:
        if files[-1] != named[0]:
            raise ConfigurationError(
                f"{named[0]} has to be the last of the Compose files, because a later one counts more. Their order is "
                f"{', '.join(files)}: move it to the end, start the project so, and run again."
            )
        _refuse_content(named[0], container, project.service)
        return OverrideFile(named[0], named=True)
    ours = [path for path in _overrides(project.directory) if is_ours(_text(path), container)]
    theirs = [path for path in _overrides(project.directory) if path not in ours]
    first = Path(project.files[0])
    by_default = str(first.parent) == project.directory and first.name in DEFAULT_NAMES
    if files is not project.files or theirs or not by_default or set(project.files[1:]) - set(ours):
        _refuse_files(project, own_name, unit, unit_files, theirs)
    return OverrideFile((ours or [str(first.with_name(f"{first.stem}.override{first.suffix}"))])[0], named=False)


def files_of_next_start(project: Project, unit_files: Sequence[str]) -> list[str]:
    """The files that the project is made of when it is started again: those that are named, else those of now."""
    return _files_of_variables(project) or list(unit_files) or project.files


def variables_of(project: Project) -> list[str]:
    """The files from which Compose takes variables; the last of them counts most."""
    return project.variable_files or [at(project.directory, _VARIABLES)]


def is_ours(text: str, container: str) -> bool:
    """Whether the text is that of a file of ours for this container, as the role's template writes it."""
    return text.startswith(f"# matrix_ops.synapse_s3: what the container {container} runs.")


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _overrides(directory: str) -> list[str]:
    paths = [at(directory, name) for name in OVERRIDE_NAMES]
    return [path for path in paths if os.path.lexists(path)]


def _files_of_variables(project: Project) -> list[str]:
    """The files that COMPOSE_FILE names, where Compose reads it from a file."""
    variables: dict[str, str] = {}
    for path in variables_of(project):
        variables.update(parse_environment_file(_text(path)))
    names = variables.get("COMPOSE_FILE", "").split(variables.get("COMPOSE_PATH_SEPARATOR") or os.pathsep)
    return [at(project.directory, name) for name in names if name]


def _refuse_content(path: str, container: str, service: str) -> None:
    text = _text(path)
    if not is_ours(text, container) and re.sub(r"[\s{}]", "", text) != f"services:{service}:":
        raise ConfigurationError(
            f"{path} is to be written by this collection, and holds something else than '{empty_content(service)}'. "
            "Move what it holds into a file of your own, and run again."
        )


def empty_content(service: str) -> str:
    """What the operator writes into a file that he names, and what a removal leaves there. It changes nothing."""
    return f"services: {{{service}: {{}}}}"


def _refuse_files(
    project: Project, own_name: str, unit: str, unit_files: Sequence[str], theirs: Sequence[str]
) -> NoReturn:
    own = at(project.directory, own_name)
    files = list(dict.fromkeys([*project.files, *theirs]))
    variables = variables_of(project)[-1]
    if _files_of_variables(project):
        remedy = f"add '{os.pathsep}{own_name}' to COMPOSE_FILE in {variables}"
    elif unit_files:
        remedy = f"add '-f {own}' to the command of {unit}, and restart that"
    elif all(Path(path).name in (*DEFAULT_NAMES, *OVERRIDE_NAMES) for path in files):
        names = [os.path.relpath(path, project.directory) for path in files]
        remedy = f"write the line 'COMPOSE_FILE={os.pathsep.join([*names, own_name])}' into {variables}"
    else:
        remedy = f"add '-f {own}' where you start the project, and start it so once"
    raise ConfigurationError(
        f"Nothing was changed. The Compose project {project.name} is made of files that you have chosen "
        f"({', '.join(files)}), so the one by which Synapse's container runs another image has to be named beside "
        f"them, once. Make it: echo {shlex.quote(empty_content(project.service))} >{shlex.quote(own)}. Then name it "
        f"as the last one: {remedy}. Then run again."
    )
