# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container as Docker or Podman shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_service import SynapseNotFoundError
from ..systemd_unit import Run
from . import podman

ENGINES = ("docker", "podman")
# On the images that the collection builds.
CONTAINER_LABEL = "matrix_ops.synapse_s3.container"
BASE_LABEL = "matrix_ops.synapse_s3.base"
BASE_ID_LABEL = "matrix_ops.synapse_s3.base_id"
# Container and base in one, because an image with one of several labels is enough for Podman before 5.0.
MADE_FOR_LABEL = "matrix_ops.synapse_s3.made_for"
COMPOSE_LABELS = ("com.docker.compose.project", "io.podman.compose.project")


class SeveralContainersError(ConfigurationError):
    """Docker and Podman both have a container of the name."""


@dataclass(frozen=True)
class Mount:
    """A mount of the container. `source` is the path on the host, `volume` the name of a named volume or empty."""

    destination: str
    source: str
    volume: str
    writable: bool


@dataclass(frozen=True)
class Container:
    """What the roles need of a container. The process id is that of its first process; 0 if it does not run."""

    engine: str
    name: str
    image: str
    image_id: str
    process_id: int
    working_directory: str
    networks: list[str]
    mounts: list[Mount]
    ports: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


def find_container(run: Run, name: str) -> Container:
    """The container of this name. Raises SynapseNotFoundError if neither Docker nor Podman has it, and
    SeveralContainersError if both have.
    """
    answered = []
    found: dict[str, Container] = {}
    for engine in ENGINES:
        status, output, error = run([engine, "container", "inspect", "--", name])
        if status == 0:
            shown = json.loads(output)[0]
            actual = "podman" if podman.is_podman(shown) else engine
            found[actual] = parse_container(actual, shown)
        elif status != 127:
            answered.append(f"{engine}: {error.strip().rpartition(chr(10))[2]}")
    if found:
        return _one_of(name, list(found.values()))
    owner = podman.rootless_owner(name)
    if owner:
        raise SynapseNotFoundError(
            f"The container {name} is one of rootless Podman: it belongs to the user {owner}, and root does not see "
            "its images and volumes. That is not supported. Run Synapse's container as root under systemd, or leave "
            "synapse_s3_synapse_container empty and see the documentation for what is supported."
        )
    if not answered:
        raise SynapseNotFoundError(
            f"synapse_s3_synapse_container is {name}, and neither docker nor podman is on this host. Install the "
            "one that runs Synapse's container, or leave synapse_s3_synapse_container empty if Synapse runs without a "
            "container."
        )
    raise SynapseNotFoundError(
        f"There is no container {name} on this host ({'; '.join(answered)}). Correct synapse_s3_synapse_container, or "
        "start Synapse's service, which makes the container. Containers of a user without root (rootless Docker or "
        "Podman), of Docker Swarm and of Kubernetes are not supported: run Synapse's container as root under systemd."
    )


def _one_of(name: str, found: Sequence[Container]) -> Container:
    """The one that runs, where Docker and Podman both have a container of this name."""
    running = [container for container in found if container.process_id]
    if len(found) > 1 and len(running) != 1:
        raise SeveralContainersError(
            f"Docker and Podman both have a container {name}, and {'both run' if running else 'neither runs'}, so it "
            f"is not clear which is Synapse's. Remove or rename the other one ('docker rm {name}', 'podman rm {name}', "
            "or 'rename' in their place), and run again."
        )
    return (running or found)[0]


def parse_container(engine: str, shown: Mapping[str, Any]) -> Container:
    """The container in the output of `docker container inspect` or `podman container inspect`."""
    host = shown["HostConfig"]
    labels = shown["Config"].get("Labels") or {}
    mode = host.get("NetworkMode", "default")
    networks = shown.get("NetworkSettings", {}).get("Networks") or {}
    if any(name.startswith(("com.docker.swarm.", "io.kubernetes.")) for name in labels):
        raise ConfigurationError(
            f"Docker Swarm or Kubernetes runs the container {shown['Name'].lstrip('/')}, which is not supported: it "
            "chooses image and host itself. Run Synapse's container under systemd, or with a Compose file."
        )
    return Container(
        engine=engine,
        name=shown["Name"].lstrip("/"),
        image=shown.get("ImageName") or shown["Config"]["Image"],
        image_id=_image_id(shown["Image"]),
        process_id=shown["State"].get("Pid") or 0,
        working_directory=shown["Config"].get("WorkingDir") or "/",
        networks=podman.networks(shown["Name"], mode, networks) if engine == "podman" else _networks(mode, networks),
        mounts=_mounts(shown.get("Mounts", [])),
        ports=_ports(host.get("PortBindings") or {}),
        labels=dict(labels),
    )


def _image_id(shown: str) -> str:
    """With its algorithm, which Podman leaves out."""
    return "sha256:" + shown.rpartition(":")[2]


def _networks(mode: str, networks: Mapping[str, Any]) -> list[str]:
    """The networks by which a container reaches what this one reaches, that of its creation first."""
    if mode in ("host", "none") or mode.startswith(("container:", "ns:")):
        return [mode]
    others = [name for name in networks if name != mode and not (mode in ("default", "bridge") and name == "bridge")]
    first = "bridge" if mode in ("default", "bridge") else mode
    if first == "bridge" and "bridge" not in networks and others:
        return others
    return [first, *others]


def _mounts(mounts: Sequence[Mapping[str, Any]]) -> list[Mount]:
    """By their destinations: Docker gives several in another order after each start of the container."""
    found = [_mount(mount) for mount in mounts if mount["Type"] in ("bind", "volume")]
    return sorted(found, key=lambda mount: mount.destination)


def _mount(mount: Mapping[str, Any]) -> Mount:
    return Mount(
        destination=mount["Destination"],
        source=mount["Source"],
        volume=mount.get("Name") or "" if mount["Type"] == "volume" else "",
        writable=bool(mount.get("RW", True)),
    )


def _ports(bindings: Mapping[str, Any]) -> dict[str, str]:
    """The address on the host, with its port, of each published port of the container such as `8008/tcp`."""
    ports: dict[str, str] = {}
    for port, addresses in bindings.items():
        for address in addresses or []:
            if address.get("HostPort"):
                host = address.get("HostIp") or "127.0.0.1"
                host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - looked up only
                ports.setdefault(port, f"{host}:{address['HostPort']}")
    return ports


def on_host(mounts: Sequence[Mount], path: str) -> str:
    """The path on the host behind a path in the container; an empty string if it lies on no mount."""
    covering = [
        mount for mount in mounts if path == mount.destination or path.startswith(_with_slash(mount.destination))
    ]
    if not covering:
        return ""
    mount = max(covering, key=lambda found: len(found.destination))
    return mount.source.rstrip("/") + path[len(mount.destination.rstrip("/")) :]


def operators_mounts(mounts: Sequence[Mount], own_paths: Sequence[str]) -> list[Mount]:
    """The mounts without those that the collection has added: what is below one of its paths, at the same place."""

    def is_own(mount: Mount) -> bool:
        same = mount.source == mount.destination
        return same and any(mount.source == path or mount.source.startswith(_with_slash(path)) for path in own_paths)

    return [mount for mount in mounts if not is_own(mount)]


def _with_slash(path: str) -> str:
    return path.rstrip("/") + "/"


def image_facts(run: Run, engine: str, image: str) -> dict[str, Any] | None:
    """Id and labels of an image; None if the engine does not have it."""
    status, output, _error = run([engine, "image", "inspect", "--", image])
    if status != 0:
        return None
    shown = json.loads(output)[0]
    config = shown.get("Config") or {}
    return {"id": _image_id(shown["Id"]), "labels": config.get("Labels") or {}, "config": config}


def made_for(container: str, base: str) -> str:
    """The value of MADE_FOR_LABEL of an image that is built for this container from the base of this id."""
    return f"{container}@{base}"


def own_images(run: Run, engine: str, container: str) -> list[str]:
    """The images that the collection has built for the container, as NAME:TAG."""
    label = f"label={CONTAINER_LABEL}={container}"
    status, output, error = run([engine, "image", "ls", "--filter", label, "--format", "{{.Repository}}:{{.Tag}}"])
    if status != 0:
        raise ConfigurationError(f"{engine} does not list its images ({error.strip()}). Repair it, and run again.")
    # Podman also lists images that have lost their name.
    return sorted({line.strip() for line in output.splitlines() if line.strip() and "<none>" not in line})
