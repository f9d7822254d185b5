# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A systemd service as systemctl shows it: its command, its user, its environment."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from .synapse_media.errors import ConfigurationError

# Runs a command; returns its exit status, output and error output, as AnsibleModule.run_command does.
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
# What else looks like an ending is part of the name, as in worker@media.one.
_UNIT_TYPE = re.compile(r"\.(service|socket|target|timer|mount|automount|path|slice|scope|swap|device)$")


def command_runner(module: AnsibleModule) -> Run:
    """Runs commands through the module; exit status 127 if the program does not exist or cannot be started."""

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        try:
            status, output, error = module.run_command(list(command), handle_exceptions=False)
        except OSError as error:
            return 127, "", str(error.strerror)
        return status, output, error

    return run


@dataclass(frozen=True)
class Unit:
    """One service. Its commands are not expanded: the variables in them may be secrets.

    `active`: whether it runs or is starting.
    `stopped`: whether nobody wants it to run; a service that failed is neither active nor stopped.
    `working_directory`: an empty string for systemd's default, "~" for the home directory of the user.
    `environment_files`: the path of each EnvironmentFile, and whether it may be missing.
    """

    name: str
    active: bool
    commands: list[list[str]] = field(repr=False)
    user: str = ""
    group: str = ""
    working_directory: str = ""
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    environment_files: list[tuple[str, bool]] = field(default_factory=list)
    stopped: bool = False


def unit_named(run: Run, name: str) -> Unit | None:
    """The service of that name; None if systemd does not know it, if it is masked, or if systemd does not run."""
    output = _show(run, name)
    return None if output is None else parse_unit(output)


def is_masked(run: Run, name: str) -> bool:
    """Whether the service is masked, in which case systemd does not show its command."""
    output = _show(run, name)
    return output is not None and _properties(output).get("LoadState") == ["masked"]


def _show(run: Run, name: str) -> str | None:
    if not _UNIT_TYPE.search(name):
        name += ".service"
    status, output, _error = run(["systemctl", "show", "--no-pager", "-p", ",".join(PROPERTIES), "--", name])
    return output if status == 0 else None


def loaded_services(run: Run) -> dict[str, str]:
    """The raw ExecStart of every loaded service, by the name of the service."""
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
    """The service in the output of systemctl show; None if the unit is not loaded."""
    properties = _properties(output)

    def first(name: str) -> str:
        return properties.get(name, [""])[0]

    if first("LoadState") != "loaded":
        return None
    return Unit(
        name=first("Id"),
        active=first("ActiveState") in ("active", "reloading", "activating"),
        commands=[_words(value) for value in properties.get("ExecStart", [])],
        user=first("User"),
        group=first("Group"),
        # systemd puts an exclamation mark before a directory that may be missing.
        working_directory=first("WorkingDirectory").lstrip("!"),
        environment=_assignments(shlex.split(first("Environment"))),
        environment_files=[
            (match["path"], match["optional"] == "yes")
            for match in map(_ENVIRONMENT_FILE.fullmatch, properties.get("EnvironmentFiles", []))
            if match
        ],
        stopped=first("ActiveState") in ("inactive", "deactivating"),
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
    # systemctl joins the words by single spaces, without quotes. The program is in path; argv[0] may be another name.
    return [match["path"], *match["argv"].split(" ")[1:]]


def _assignments(words: Sequence[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words if "=" in word)


def full_environment(unit: Unit) -> dict[str, str]:
    """The variables of Environment= and EnvironmentFile=; those of the files win, as in systemd.

    Raises ConfigurationError if a file cannot be read that must exist.
    """
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
    """The variables in an EnvironmentFile: comments begin with # or ;, a backslash continues a line."""
    environment = {}
    for line in re.sub(r"\\\r?\n", "", text).splitlines():
        name, separator, value = line.strip().partition("=")
        if not separator or name.startswith(("#", ";")):
            continue
        try:
            words = shlex.split(value)
        except ValueError:
            # A quote is not closed. No path of Synapse is written like that.
            continue
        environment[name.strip()] = " ".join(words)
    return environment


def expand(words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The words with their variables, as in systemd: ${NAME} in a word, $NAME as a whole word, $$ for a dollar."""
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
