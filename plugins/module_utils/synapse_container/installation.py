# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All that the roles need to know of a Synapse in a container, as the module synapse_info documents it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import PurePosixPath
from typing import Any, NoReturn

from ..host_facts import PYTHON_FACTS, canonical
from ..synapse_media.errors import ConfigurationError
from ..systemd_unit import Run
from .compose import as_result, compose_service
from .compose_files import in_project
from .engine import (
    COMPOSE_LABELS,
    CONTAINER_LABEL,
    Container,
    SeveralContainersError,
    find_container,
    image_facts,
    on_host,
    operators_mounts,
    own_images,
)
from .interpreter import mount_options, own_directory, write_python
from .podman import AUTO_UPDATE_LABEL, UNIT_LABEL, security_options
from .process import SynapseProcess, runs_worker, synapse_process
from .quadlet import quadlet_of
from .record import load, save
from .unit import UnitLine, image_lines, unit_of_container


def container_installation(
    run: Run, name: str, service: str, own_file: str, paths: Sequence[str], probe: str
) -> dict[str, Any]:
    """The Synapse in this container. Raises SynapseNotFoundError if there is none, else ConfigurationError.

    `service`: the unit that runs it, or empty. `own_file`: the drop-in by which the unit runs another image.
    `paths`: what of the host its Python needs beside Synapse's mounts. `probe`: the program that tells of a Python.
    """
    container, process = _as_it_runs(run, name)
    container = replace(container, mounts=operators_mounts(container.mounts, paths))
    compose = quadlet = None
    if in_project(container):
        compose = compose_service(run, container, service, f"{PurePosixPath(own_file).stem}.override.yml")
        unit, lines, image = compose.unit, [], compose.image
        source = f"Compose service {compose.project.service}"
    else:
        unit = unit_of_container(run, container.name, service, container.labels.get(UNIT_LABEL, ""))
        if unit is None:
            _refuse_without_unit(container)
        quadlet = quadlet_of(run, unit.name, own_file) if container.engine == "podman" else None
        lines = [quadlet.line] if quadlet else image_lines(run, unit.name, own_file)
        image = next(line.image for line in reversed(lines) if line.image)
        source = f"service {unit.name}"
    base = image_facts(run, container.engine, image)
    if base is None:
        raise ConfigurationError(
            f"The {source} names the image {image}, which is not on this host. Run '{container.engine} pull "
            f"{image}', and run again."
        )
    _refuse_other_images(container, lines, image)
    _refuse_unmounted(container, process)
    if compose is None and CONTAINER_LABEL not in container.labels:
        _refuse_workers(run, container, process)
    python = write_python(container, process.command.python, base["id"], paths)
    save(own_directory(container.name), container, process)
    return {
        "service": unit.name if unit else None,
        "active": compose.running if compose else unit is not None and unit.active,
        "python": python,
        **_python_facts(run, container, process.command.python, base["id"], probe),
        "config_paths": process.command.config_paths,
        "working_directory": process.working_directory,
        "keys_directory": process.command.keys_directory or str(PurePosixPath(process.command.config_paths[-1]).parent),
        # Numbers: the user of a container need not have a name on the host, nor in the image.
        "user": str(process.uid),
        "group": str(process.gid),
        "uid": process.uid,
        "gid": process.gid,
        "home": process.home,
        "container": {
            "engine": container.engine,
            "name": container.name,
            "image": image,
            "image_id": base["id"],
            "image_user": base["config"].get("User") or "",
            "running_image_id": container.image_id,
            "images": own_images(run, container.engine, container.name),
            "networks": container.networks,
            "ports": container.ports,
            "mounts": [asdict(mount) for mount in container.mounts],
            "mount_options": mount_options(container, writable=False),
            "unit_lines": [asdict(line) for line in lines],
            "quadlet": {"file": quadlet.file, "drop_in_directory": quadlet.drop_in_directory} if quadlet else None,
            "auto_update": AUTO_UPDATE_LABEL in container.labels,
            "security_options": security_options(),
            "compose": as_result(compose) if compose else None,
            "python": process.command.python,
        },
    }


def _as_it_runs(run: Run, name: str) -> tuple[Container, SynapseProcess]:
    """The container and Synapse in it; as an earlier run has seen them if it does not run now."""
    saved = load(own_directory(name))
    try:
        container = find_container(run, name)
        return container, synapse_process(container.name, container.process_id, container.working_directory)
    except SeveralContainersError:
        raise
    except ConfigurationError:
        if saved is None:
            raise
        return saved


def _refuse_without_unit(container: Container) -> NoReturn:
    if any(label in container.labels for label in COMPOSE_LABELS):
        raise ConfigurationError(
            f"The container {container.name} belongs to a Compose project, which is not supported yet. Let a "
            f"systemd unit run '{container.engine} run --rm --name {container.name} …', and set "
            "synapse_s3_synapse_service to it."
        )
    raise ConfigurationError(
        f"No systemd service on this host runs the container {container.name}, so nothing could run it with "
        f"another image or restart it. Let a unit run '{container.engine} run --rm --name {container.name} … IMAGE', "
        "or set synapse_s3_synapse_service if there is one."
    )


def _refuse_other_images(container: Container, lines: Sequence[UnitLine], image: str) -> None:
    others = sorted({line.image for line in lines if line.image} - {image})
    if others:
        raise ConfigurationError(
            f"The service of the container {container.name} runs more than one image: {', '.join([image, *others])}. "
            "Leave one of them in its ExecStart and ExecStartPre."
        )


def _refuse_unmounted(container: Container, process: SynapseProcess) -> None:
    if not process.command.config_paths:
        raise ConfigurationError(
            f"Synapse in the container {container.name} names no configuration file. Start it with --config-path."
        )
    for path in process.command.config_paths:
        if not on_host(container.mounts, path):
            raise ConfigurationError(
                f"Synapse's configuration {path} lies in the container {container.name} and on no mount of it, "
                "so a change would be lost with the container. Mount the directory of the configuration from the host."
            )
        if any(mount.destination == path for mount in container.mounts) and path.endswith(".yaml"):
            raise ConfigurationError(
                f"Synapse's configuration {path} is mounted into the container {container.name} as a single "
                "file, which cannot be replaced in one step. Mount its directory instead."
            )


def _refuse_workers(run: Run, container: Container, process: SynapseProcess) -> None:
    """A worker that reads the same configuration would not start without the storage provider in its image."""
    status, output, _error = run([container.engine, "ps", "--format", "{{.Names}}"])
    others = sorted({name for name in output.split() if name != container.name}) if status == 0 else []
    if not others:
        return
    # One that has ended meanwhile is no worker; the others are shown all the same.
    template = "{{.Name}} {{.State.Pid}} {{json .Mounts}}"
    _status, output, _error = run([container.engine, "container", "inspect", "--format", template, "--", *others])
    files = [on_host(container.mounts, path) for path in process.command.config_paths]
    workers = []
    for line in output.splitlines():
        name, process_id, mounts = line.split(" ", 2)
        sources = [PurePosixPath(mount["Source"]) for mount in json.loads(mounts) if mount.get("Source")]
        reads = any(PurePosixPath(file).is_relative_to(source) for file in files for source in sources)
        if reads and int(process_id) and runs_worker(int(process_id)):
            workers.append(name.lstrip("/"))
    if workers:
        raise ConfigurationError(
            f"Workers of Synapse run in the containers {', '.join(workers)} and read the configuration of the "
            f"container {container.name}, which is not supported: their image would not have the storage provider, and "
            "they would not start. Leave the storage provider to what makes these containers and set "
            "synapse_s3_storage_provider_enabled to false (see docs/matrix_docker_ansible_deploy.md), or run Synapse "
            "as one process."
        )


def _python_facts(run: Run, container: Container, python: str, image: str, probe: str) -> dict[str, Any]:
    """What the base image has; asked without network, and without anything of Synapse's."""
    options = ["--rm", "--network=none", "--read-only", "--pull=never", f"--entrypoint={python}"]
    if container.engine == "podman":
        options.append("--log-driver=none")
    program = f"{probe}\n{PYTHON_FACTS}"
    status, output, error = run([container.engine, "run", *options, image, "-I", "-B", "-c", program])
    try:
        synapse, packages = (json.loads(line) for line in output.strip().splitlines()[-2:] if status == 0)
    except ValueError:
        synapse = packages = {}
    if not synapse.get("version"):
        last_line = error.strip().rpartition("\n")[2] or f"exit status {status}"
        raise ConfigurationError(
            f"{python} in the image of the container {container.name} does not run Synapse ({last_line}). Correct "
            "synapse_s3_synapse_container."
        )
    synapse.pop("ensurepip", None)
    remedy = None if synapse["pip"] else "Let the image have pip: add 'RUN python -m ensurepip' to its Dockerfile."
    found = {canonical(name): version for name, version in packages["packages"].items()}
    return {**synapse, "pip_remedy": remedy, "packages": found}
