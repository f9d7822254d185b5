# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service that Podman's Quadlet generates from a file NAME.container, and the line in it that names the image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..synapse_media.errors import ConfigurationError
from ..systemd_unit import Run
from .podman import release
from .unit import UnitLine, assignments, unit_files

# Where Quadlet looks for files, the most important first. Drop-ins of a file may be in any of them.
DIRECTORIES = ("/run/containers/systemd", "/etc/containers/systemd", "/usr/share/containers/systemd")
OWN_DIRECTORY = "/etc/containers/systemd"
# The first release that reads drop-ins.
_DROP_INS_SINCE = 5


@dataclass(frozen=True)
class Quadlet:
    """`file`: the operator's. `drop_in_directory`: where ours replaces lines of it. `line`: the one with the image."""

    file: str
    drop_in_directory: str
    line: UnitLine


def quadlet_of(run: Run, service: str, own_file: str) -> Quadlet | None:
    """The file that the service is generated from; None if Quadlet does not generate it.

    `own_file`: the name of our drop-in. Raises ConfigurationError if its image cannot be replaced by one.
    """
    source = _source(run, service)
    if source.suffix == ".kube":
        raise ConfigurationError(
            f"The service {service} runs a file of Kubernetes ({source}), in which no image can be replaced. Run "
            "Synapse's container by a file NAME.container or by a unit with 'podman run'."
        )
    if source.suffix != ".container":
        return None
    line = _image_line(source, own_file)
    _refuse_image(service, line)
    _refuse_release(run, source, line)
    if Path(OWN_DIRECTORY).resolve() not in source.parents:
        raise ConfigurationError(
            f"The service {service} is generated from {source}. Move that file into {OWN_DIRECTORY}, where files of "
            "this host belong, run 'systemctl daemon-reload', and run again."
        )
    if "@" in source.name:
        raise ConfigurationError(
            f"The service {service} is generated from a template ({source}), whose other instances would run the same "
            f"image. Make a file without '@' of it in {OWN_DIRECTORY} for Synapse."
        )
    _refuse_command(run, service)
    return Quadlet(str(source), f"{OWN_DIRECTORY}/{source.name}.d", line)


def _source(run: Run, service: str) -> Path:
    status, output, error = run(["systemctl", "show", "--no-pager", "-p", "SourcePath", "--", service])
    if status != 0:
        raise ConfigurationError(f"systemctl does not show {service} ({error.strip()}).")
    return Path(output.strip().partition("=")[2])


def _image_line(source: Path, own_file: str) -> UnitLine:
    """The line that names the operator's image. Raises ConfigurationError if it would win over ours."""
    found: UnitLine | None = None
    for path in [source, *_drop_ins(source)]:
        if path.name == own_file:
            continue
        for key, value in assignments(path.read_text(encoding="utf-8"), "[Container]"):
            if key == "Image" and value:
                image = value[1:-1] if re.fullmatch(r'".*"', value) else value
                found = UnitLine("Image", "", image, "", str(path))
    if found is None:
        raise ConfigurationError(
            f"{source} names no image in a line 'Image=' (Rootfs= is not supported). Add one, and run again."
        )
    name = Path(found.file).name
    if found.file != str(source) and name > own_file:
        raise ConfigurationError(
            f"{found.file} sets Image=, and Podman reads it after the collection's own file, {own_file}. Rename it "
            f"to a name that sorts before, such as 10-{name}, run 'systemctl daemon-reload', and run again."
        )
    return found


def _drop_ins(source: Path) -> list[Path]:
    """In the order in which Podman reads them: by name, and of one name only that in the most specific directory."""
    parts = source.stem.split("-")
    names = [f"{source.name}.d"]
    names += ["-".join(parts[:count]) + "-.container.d" for count in range(len(parts) - 1, 0, -1)]
    names.append("container.d")
    roots = [root for directory in DIRECTORIES for root in _with_subdirectories(Path(directory))]
    found: dict[str, Path] = {}
    for name in names:
        for root in roots:
            for path in sorted((root / name).glob("*.conf")):
                found.setdefault(path.name, path)
    return [found[name] for name in sorted(found)]


def _with_subdirectories(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return [directory, *(path for path in sorted(directory.rglob("*")) if path.is_dir() and path.suffix != ".d")]


def _refuse_image(service: str, line: UnitLine) -> None:
    if line.image.endswith((".image", ".build")):
        raise ConfigurationError(
            f"The service {service} takes its image from another unit: Image={line.image} in {line.file}. Write the "
            f"name of the image itself there, such as Image=docker.io/matrixdotorg/synapse:latest (of a .build file "
            "what its ImageTag= says), and run again."
        )
    if re.search(r"[$%\"'\\\s]", line.image):
        raise ConfigurationError(
            f"The service {service} names its image as {line.image}, which depends on a variable or on quotes and so "
            f"cannot be replaced safely. Write the name of the image in full after Image= in {line.file}."
        )


def _refuse_release(run: Run, source: Path, line: UnitLine) -> None:
    major, named = release(run)
    if major < _DROP_INS_SINCE:
        raise ConfigurationError(
            f"Podman {named} reads no drop-ins for {source}, so the line 'Image={line.image}' in it cannot be replaced "
            f"by the image with the storage provider. Update Podman to 5.0 or later; or take {source} away and let a "
            f"unit in /etc/systemd/system run 'podman run --rm --name NAME … {line.image}'. Then run again."
        )


def _refuse_command(run: Run, service: str) -> None:
    for path in unit_files(run, service)[1:]:
        if any(key == "ExecStart" for key, dummy_value in assignments(Path(path).read_text(encoding="utf-8"))):
            raise ConfigurationError(
                f"{path} replaces the command that Quadlet writes for {service}, and with it the image. Take ExecStart "
                "out of it, and put what you need into the file NAME.container (PodmanArgs=). Then run again."
            )
