# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The systemd service that runs a container, and its lines that name the container's image.

systemctl shows commands without their quotes, so lines that are to be written again are taken from the unit's files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..synapse_media.errors import ConfigurationError
from ..systemd_unit import Run, Unit, loaded_services, unit_named
from .engine import ENGINES

_DIRECTIVES = ("ExecStartPre", "ExecStart")
# A word in a unit's file: bare, or in quotes.
_WORD = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"'])+""")
# Of `run` and `create` in Docker and Podman: the options without a value. All others take one.
_FLAGS = frozenset(
    [
        "--detach",
        "--disable-content-trust",
        "--help",
        "--init",
        "--interactive",
        "--no-healthcheck",
        "--no-hosts",
        "--no-hostname",
        "--oom-kill-disable",
        "--passwd",
        "--privileged",
        "--publish-all",
        "--quiet",
        "--read-only",
        "--read-only-tmpfs",
        "--replace",
        "--rm",
        "--rmi",
        "--sig-proxy",
        "--tls-verify",
        "--tty",
        "--http-proxy",
    ]
)
_SHORT_FLAGS = frozenset("dihPqt")


@dataclass(frozen=True)
class UnitLine:
    """One command of the unit. `before` and `after` surround the image; without one, `before` is the whole value.

    `file`: where it is written.
    """

    directive: str
    before: str
    image: str = ""
    after: str = ""
    file: str = ""


def unit_of_container(run: Run, name: str, wanted: str, labelled: str = "") -> Unit | None:
    """The service whose commands run or start the container; `wanted` if that is given. None if there is none.

    `labelled`: the one that the container is labelled with, which it was started by.
    """
    if wanted:
        unit = unit_named(run, wanted)
        if unit is None:
            raise ConfigurationError(
                f"systemd on this host has no service {wanted}. Correct synapse_s3_synapse_service, or leave it "
                f"empty, so that the service of the container {name} is searched for."
            )
        return unit
    started_by = unit_named(run, labelled) if labelled else None
    if started_by is not None:
        return started_by
    named = re.escape(name)
    # `run` and `create` name their container by an option, `start` at its end.
    starts = re.compile(
        rf"(?:^|[/ ])(?:{'|'.join(ENGINES)}) (?:.* )?(?:(?:run|create) .*--name[= ]{named}(?= )|start (?:.* "
        rf")?{named}(?= ;| *$))"
    )
    found = [
        service
        for service, commands in sorted(loaded_services(run).items())
        # The collection's own units name the container too.
        if starts.search(commands) and not service.startswith("synapse-s3-")
    ]
    if len(found) > 1:
        raise ConfigurationError(
            f"More than one service starts the container {name} on this host: {', '.join(found)}. "
            "Set synapse_s3_synapse_service to the one that runs Synapse."
        )
    return unit_named(run, found[0]) if found else None


def image_lines(run: Run, service: str, own_file: str) -> list[UnitLine]:
    """The lines of every directive of the unit in which an image is run, in their order; `own_file` does not count.

    Raises ConfigurationError if there is none, or if the image is written in a way that cannot be replaced.
    """
    lines = _effective([path for path in unit_files(run, service) if PurePosixPath(path).name != own_file])
    replaced = {line.directive for line in lines if line.image}
    if not replaced:
        raise ConfigurationError(
            f"The service {service} starts a container, and no line of it runs an image ('docker run … IMAGE' or "
            "'docker create … IMAGE'), so it cannot be made to run the image with the storage provider. Let its "
            "ExecStart be 'docker run --rm --name NAME … IMAGE'."
        )
    for line in lines:
        if line.image and re.search(r"[$%\"'\\]", line.image):
            raise ConfigurationError(
                f"The service {service} names its image as {line.image}, which depends on a variable or on "
                "quotes and so cannot be replaced safely. Write the name of the image in full in this line: "
                f"{line.directive}={line.before}{line.image}{line.after}"
            )
    return [line for line in lines if line.directive in replaced]


def unit_files(run: Run, service: str) -> list[str]:
    """The files that the unit is made of: its own and then its drop-ins, in the order in which systemd reads them."""
    status, output, error = run(["systemctl", "show", "--no-pager", "-p", "FragmentPath,DropInPaths", "--", service])
    if status != 0:
        raise ConfigurationError(f"systemctl does not show {service} ({error.strip()}).")
    shown = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    paths = [shown.get("FragmentPath", ""), *shown.get("DropInPaths", "").split()]
    return [path for path in paths if path]


def _effective(paths: Sequence[str]) -> list[UnitLine]:
    """The commands of the directives as systemd has them: an empty value forgets those before."""
    commands: dict[str, list[tuple[str, str]]] = {directive: [] for directive in _DIRECTIVES}
    for path in paths:
        for directive, value in assignments(Path(path).read_text(encoding="utf-8")):
            if directive in commands:
                commands[directive] = [*commands[directive], (value, path)] if value else []
    return [_unit_line(directive, *command) for directive in _DIRECTIVES for command in commands[directive]]


def assignments(text: str, wanted: str = "[Service]") -> Iterator[tuple[str, str]]:
    """The directives of the wanted section. Continued lines become one; comments between them are left out."""
    section, value = "", ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith(("#", ";")) or (not stripped and not value):
            continue
        value += stripped
        if stripped.endswith("\\"):
            value = value[:-1].rstrip() + " "
            continue
        if value.startswith("["):
            section = value
        elif section == wanted and "=" in value:
            directive, _mark, command = value.partition("=")
            yield directive.strip(), command.strip()
        value = ""


def _unit_line(directive: str, value: str, file: str) -> UnitLine:
    image = _image_in(value)
    if image is None:
        return UnitLine(directive, value, file=file)
    start, end = image
    return UnitLine(directive, value[:start], value[start:end], value[end:], file)


def _image_in(value: str) -> tuple[int, int] | None:
    """Where the image stands in a command such as `docker run OPTION… IMAGE ARGUMENT…`; None if it runs none."""
    words = list(_WORD.finditer(value))
    engine = next((i for i, word in enumerate(words) if PurePosixPath(word[0].lstrip("-@:+!")).name in ENGINES), None)
    if engine is None:
        return None
    verb = next((i for i in range(engine + 1, len(words)) if words[i][0] in ("run", "create")), None)
    if verb is None or any(not _is_global_option(words[i][0]) for i in range(engine + 1, verb)):
        return None
    position = verb + 1
    while position < len(words):
        word = words[position][0]
        if not word.startswith("-"):
            return words[position].span()
        position += 2 if _takes_next_word(word) else 1
    return None


def _is_global_option(word: str) -> bool:
    return word == "container" or word.startswith("-")


def _takes_next_word(word: str) -> bool:
    if "=" in word:
        return False
    if word.startswith("--"):
        return word not in _FLAGS
    # Short options may be joined, and the last of them may have its value attached, as in -p8008:8008.
    for index, letter in enumerate(word[1:]):
        if letter not in _SHORT_FLAGS:
            return index == len(word) - 2
    return False
