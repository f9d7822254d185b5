# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the service that starts Synapse, and read from its command the Python and the configuration files."""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

from .synapse_media.errors import ConfigurationError
from .systemd_unit import Run, Unit, expand, full_environment, is_masked, loaded_services, unit_named

USUAL_UNITS = ("matrix-synapse.service", "synapse.service")
MAIN_MODULE = "synapse.app.homeserver"
_ANY_MODULE = "synapse.app."
_WORKER_SCRIPT = "synapse_worker"
_MENTIONS_SYNAPSE = re.compile(r"synapse\.app\.homeserver|synapse_homeserver|matrix_synapse")
_STARTS_MAIN = re.compile(r"synapse\.app\.homeserver|synapse_homeserver")
_IS_WORKER = re.compile(r"synapse\.app\.(?!homeserver)|synapse_worker|synctl start (?:-w|--worker)")
_CONTAINER_PROGRAMS = {"docker", "docker-compose", "podman", "podman-compose", "nerdctl", "systemd-nspawn"}
_SCRIPTS = ("synapse_homeserver", "synctl")
_PYTHON_NAME = re.compile(r"(?:python|pypy)[0-9.]*")
# pip writes this for an interpreter whose path is too long for a shebang line or contains a space.
_SHELL_TRAMPOLINE = re.compile(r"^'''exec' (?:\"(?P<quoted>[^\"]+)\"|(?P<plain>\S+)) ", re.MULTILINE)
# The default search path of systemd.
SERVICE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

SETTINGS = "synapse_s3_synapse_python, synapse_s3_synapse_config_paths and synapse_s3_synapse_user"


class SynapseNotFoundError(ConfigurationError):
    """There is no Synapse where it was looked for. Other errors mean that there is one whose settings are unclear."""


@dataclass(frozen=True)
class SynapseCommand:
    """A command line of Synapse, with the paths as they are written there."""

    python: str
    config_paths: list[str]
    keys_directory: str | None


def find_unit(run: Run, name: str | None) -> Unit | None:
    """The named service; without a name, one of the usual ones, else the only loaded service that starts Synapse.

    Returns None if there is none. Raises ConfigurationError if it is masked or if there are several, and
    SynapseNotFoundError if the named service does not exist.
    """
    if name:
        unit = unit_named(run, name)
        if unit is None and is_masked(run, name):
            raise ConfigurationError(
                f"The service {name} is masked, so systemd does not show how it starts Synapse. Run 'systemctl unmask "
                f"{name}' (it need not be started), or correct synapse_s3_synapse_service."
            )
        if unit is None:
            raise SynapseNotFoundError(
                f"systemd on this host has no service {name}. Correct synapse_s3_synapse_service, or leave it empty, "
                "so that Synapse's service is searched for."
            )
        return unit
    for usual in USUAL_UNITS:
        unit = unit_named(run, usual)
        if unit is not None and unit.commands:
            return unit
    found = [
        service
        for service, exec_start in sorted(loaded_services(run).items())
        if _MENTIONS_SYNAPSE.search(exec_start) and not _IS_WORKER.search(exec_start)
    ]
    if len(found) > 1:
        raise ConfigurationError(
            f"More than one service starts Synapse on this host: {', '.join(found)}. "
            "Set synapse_s3_synapse_service to the one that runs the main process."
        )
    return unit_named(run, found[0]) if found else None


def synapse_services(run: Run) -> list[tuple[Unit, SynapseCommand]]:
    """The loaded services that start Synapse or a worker, each with its command; unknown commands are left out."""
    found = []
    for service, exec_start in sorted(loaded_services(run).items()):
        if not _MENTIONS_SYNAPSE.search(exec_start) and not _IS_WORKER.search(exec_start):
            continue
        unit = unit_named(run, service)
        if unit is None or runs_in_container(unit):
            continue
        with contextlib.suppress(ConfigurationError):
            environment = full_environment(unit)
            for command in unit.commands:
                started = parse_command(expand(command, environment), environment, workers=True)
                if started is not None:
                    found.append((unit, _absolute(started, unit.working_directory or "/")))
    return found


def synapse_processes(run: Run) -> list[SynapseCommand]:
    """The commands by which the loaded services start Synapse and its workers."""
    return [command for _unit, command in synapse_services(run)]


def is_worker(unit: Unit) -> bool:
    """Whether the service starts a worker and no main process."""
    text = " ".join(word for command in unit.commands for word in command)
    return bool(_IS_WORKER.search(text)) and not _STARTS_MAIN.search(text)


def _absolute(command: SynapseCommand, working_directory: str) -> SynapseCommand:
    paths = [str(Path(working_directory, path)) for path in command.config_paths]
    return SynapseCommand(str(Path(working_directory, command.python)), paths, command.keys_directory)


def runs_in_container(unit: Unit) -> bool:
    """Whether a container program starts Synapse; words after a Python or a script of Synapse do not count."""
    for command in unit.commands:
        for name in (PurePosixPath(word).name for word in command):
            if name in _CONTAINER_PROGRAMS:
                return True
            if _PYTHON_NAME.fullmatch(name) or name in _SCRIPTS:
                break
    return False


def refuse_container(unit: Unit) -> NoReturn:
    """Raises the ConfigurationError for a service that starts a container."""
    raise ConfigurationError(
        f"{unit.name} starts a container. Synapse in a container is not supported without its name: set "
        "synapse_s3_synapse_container to it. If Python and configuration are on this host nevertheless, "
        f"set {SETTINGS}."
    )


def command_of(unit: Unit) -> SynapseCommand:
    """The command in the ExecStart of the service, which may be that of a worker.

    Raises ConfigurationError, which does not quote the command.
    """
    environment = full_environment(unit)
    for command in unit.commands:
        found = parse_command(expand(command, environment), environment, workers=True)
        if found is not None:
            return found
    raise ConfigurationError(
        f"The ExecStart of {unit.name} does not start Synapse in a known way (python -m {MAIN_MODULE}, "
        f"synapse_homeserver or synctl). Set {SETTINGS}."
    )


def on_path(program: str, search_path: str) -> str:
    """The path of a program that is named without one. Raises ConfigurationError if it is not on the search path."""
    if "/" in program:
        return program
    found = shutil.which(program, path=search_path)
    if found is None:
        raise ConfigurationError(
            f"Synapse's service starts {program}, which is not on the search path. Set synapse_s3_synapse_python."
        )
    return found


def parse_command(
    words: Sequence[str],
    environment: Mapping[str, str],
    *,
    workers: bool = False,
    locate: Callable[[str, str], str] = on_path,
) -> SynapseCommand | None:
    """The command of Synapse in these words, after any wrapper; None if there is none.

    `workers`: whether the command of a worker counts too. `locate`: finds a program on a search path.
    """
    search_path = environment.get("PATH", SERVICE_PATH)
    for index, word in enumerate(words):
        name = PurePosixPath(word).name
        module = word[2:] if word.startswith("-m") else word if index > 0 and words[index - 1] == "-m" else ""
        if module == MAIN_MODULE or (workers and module.startswith(_ANY_MODULE)):
            python = _python_before(words[:index])
            if python is None:
                return None
            return _with_options(locate(python, search_path), words[index + 1 :])
        if name in _SCRIPTS or (workers and name == _WORKER_SCRIPT):
            python = _python_before(words[:index])
            interpreter = locate(python, search_path) if python else _interpreter(word, search_path)
            read_options = _with_synctl_options if name == "synctl" else _with_options
            return read_options(interpreter, words[index + 1 :])
    return None


def _python_before(words: Sequence[str]) -> str | None:
    return next((word for word in reversed(words) if _PYTHON_NAME.fullmatch(PurePosixPath(word).name)), None)


def _interpreter(script: str, search_path: str) -> str:
    """The Python in the first line of a script."""
    path = on_path(script, search_path)
    try:
        text = Path(path).read_bytes()[:4096].decode("utf-8", errors="replace")
    except OSError as error:
        raise ConfigurationError(
            f"{path}, which Synapse's service starts, cannot be read ({error.strerror}). Set synapse_s3_synapse_python."
        ) from error
    first_line = text.partition("\n")[0]
    python = _python_before(first_line[2:].split()) if first_line.startswith("#!") else None
    trampoline = _SHELL_TRAMPOLINE.search(text)
    if python is None and trampoline:
        python = trampoline["quoted"] or trampoline["plain"]
    if python is None:
        raise ConfigurationError(
            f"The first line of {path}, which Synapse's service starts, names no Python. Set synapse_s3_synapse_python."
        )
    return on_path(python, search_path)


class _OptionParser(argparse.ArgumentParser):
    """Parser for the options of Synapse; unlike argparse it does not print the command line in an error."""

    def __init__(self) -> None:
        super().__init__(add_help=False)

    def error(self, message: str) -> NoReturn:  # noqa: ARG002
        raise ConfigurationError(f"The options in the ExecStart of Synapse's service cannot be parsed. Set {SETTINGS}.")


def _with_options(python: str, arguments: Sequence[str]) -> SynapseCommand:
    options = _OptionParser()
    options.add_argument("-c", "--config-path", action="append", default=[])
    options.add_argument("--config-directory", "--keys-directory", dest="keys_directory")
    for flags in (("-D", "--daemonize"), ("-n", "--no-redirect-stdio")):
        options.add_argument(*flags, action="store_true")
    for flags in (("-H", "--server-name"), ("-d", "--database-path"), ("-f", "--log-file")):
        options.add_argument(*flags)
    known, _others = options.parse_known_args(list(arguments))
    return SynapseCommand(python, known.config_path, known.keys_directory)


def _with_synctl_options(python: str, arguments: Sequence[str]) -> SynapseCommand:
    options = _OptionParser()
    options.add_argument("action")
    options.add_argument("configfile", nargs="?", default="homeserver.yaml")
    options.add_argument("-a", "--all-processes")
    options.add_argument("-w", "--worker")
    known, _others = options.parse_known_args(list(arguments))
    return SynapseCommand(python, [known.configfile], None)
