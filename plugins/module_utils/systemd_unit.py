# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What systemd knows about a service, read with systemctl: its command, its user, its environment."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .synapse_media.errors import ConfigurationError

# Runs a command and gives its exit status, its output and its error output, as AnsibleModule.run_command does.
Run = Callable[[Sequence[str]], "tuple[int, str, str]"]

PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "FragmentPath",
    "ExecStart",
    "User",
    "Group",
    "WorkingDirectory",
    "Environment",
    "EnvironmentFiles",
)
_COMMAND = re.compile(r"\{ path=(?P<path>.*?) ; argv\[\]=(?P<argv>.*?) ; ignore_errors=")
_ENVIRONMENT_FILE = re.compile(r"(?P<path>.+) \(ignore_errors=(?P<optional>yes|no)\)")
_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
_BARE_VARIABLE = re.compile(r"\$(?P<name>[A-Za-z_][A-Za-z0-9_]*)")


@dataclass(frozen=True)
class Unit:
    """One service. Its words still hold the variables of its environment, which may hold secrets."""

    name: str
    active: bool
    commands: list[list[str]] = field(repr=False)
    user: str = ""
    group: str = ""
    working_directory: str = ""
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    environment_files: list[tuple[str, bool]] = field(default_factory=list)


def unit_named(run: Run, name: str) -> Unit | None:
    """The service of that name, or None where systemd does not know it, has it masked, or does not run."""
    output = _show(run, name)
    return None if output is None else parse_unit(output)


def is_masked(run: Run, name: str) -> bool:
    """Whether the service is there and masked, in which case systemd tells nothing of its command."""
    output = _show(run, name)
    return output is not None and _properties(output).get("LoadState") == ["masked"]


def _show(run: Run, name: str) -> str | None:
    if not re.search(r"\.[a-z]+$", name):
        name += ".service"
    status, output, _error = run(["systemctl", "show", "--no-pager", "-p", ",".join(PROPERTIES), "--", name])
    return output if status == 0 else None


def loaded_services(run: Run) -> dict[str, str]:
    """The raw ExecStart of every service that systemd has loaded."""
    status, output, _error = run(
        ["systemctl", "show", "--no-pager", "--type=service", "-p", "Id,LoadState,ExecStart", "*"]
    )
    if status != 0:
        return {}
    services = {}
    for paragraph in output.split("\n\n"):
        properties = _properties(paragraph)
        if properties.get("LoadState") == ["loaded"] and "Id" in properties:
            services[properties["Id"][0]] = "\n".join(properties.get("ExecStart", []))
    return services


def parse_unit(output: str) -> Unit | None:
    """One service out of the output of systemctl show; None for a unit that is not there."""
    properties = _properties(output)

    def first(name: str) -> str:
        return properties.get(name, [""])[0]

    if first("LoadState") != "loaded":
        return None
    # systemd marks a directory that may be missing with an exclamation mark.
    return Unit(
        name=first("Id"),
        active=first("ActiveState") in ("active", "reloading", "activating"),
        commands=[_words(value) for value in properties.get("ExecStart", [])],
        user=first("User"),
        group=first("Group"),
        working_directory=first("WorkingDirectory").lstrip("!"),
        environment=_assignments(shlex.split(first("Environment"))),
        environment_files=[
            (match["path"], match["optional"] == "yes")
            for match in map(_ENVIRONMENT_FILE.fullmatch, properties.get("EnvironmentFiles", []))
            if match
        ],
    )


def _properties(paragraph: str) -> dict[str, list[str]]:
    properties: dict[str, list[str]] = {}
    for line in paragraph.splitlines():
        name, separator, value = line.partition("=")
        if separator:
            properties.setdefault(name, []).append(value)
    return properties


def _words(exec_start: str) -> list[str]:
    match = _COMMAND.match(exec_start)
    if not match:
        return []
    # systemctl joins the words with single spaces and quotes nothing; the program is what path says, not argv[0].
    return [match["path"], *match["argv"].split(" ")[1:]]


def _assignments(words: Sequence[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words if "=" in word)


def full_environment(unit: Unit) -> dict[str, str]:
    """Environment= and EnvironmentFile= together; the files win, as in systemd."""
    environment = dict(unit.environment)
    for path, optional in unit.environment_files:
        try:
            text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            if optional:
                continue
            raise ConfigurationError(
                f"The environment file {path} of {unit.name} cannot be read ({error.strerror}). "
                "Restore it, or remove it from the service: systemd refuses to start the service without it."
            ) from error
        environment.update(parse_environment_file(text))
    return environment


def parse_environment_file(text: str) -> dict[str, str]:
    """An EnvironmentFile: assignments, comments with # or ;, quotes, lines continued by a backslash."""
    environment = {}
    for line in re.sub(r"\\\r?\n", "", text).splitlines():
        name, separator, value = line.strip().partition("=")
        if not separator or name.startswith(("#", ";")):
            continue
        try:
            words = shlex.split(value)
        except ValueError:
            # A quote that is never closed: nothing a path of Synapse's would be written with.
            continue
        environment[name.strip()] = " ".join(words)
    return environment


def expand(words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The words as the process gets them: ${NAME} anywhere in a word, $NAME as a word of its own, $$ for a dollar."""
    expanded = []
    for word in words:
        bare = _BARE_VARIABLE.fullmatch(word)
        if bare:
            expanded.extend(environment.get(bare["name"], "").split())
        else:
            expanded.append(
                _VARIABLE.sub(lambda match: "$" if match[0] == "$$" else environment.get(match["name"], ""), word)
            )
    return expanded
