# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the Synapse on this host, and check that its Python runs, its files exist and its user exists."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .synapse_container.installation import container_installation
from .synapse_media.errors import ConfigurationError
from .synapse_media.settings.homeserver import absolute, config_files
from .synapse_processes import Process, main_of, processes, workers_alone
from .synapse_python import PACKAGED_PYTHON, PYTHON_PROBE, python_of_synapse
from .synapse_service import (
    USUAL_UNITS,
    SynapseCommand,
    SynapseNotFoundError,
    command_of,
    find_unit,
    is_worker,
    refuse_container,
    runs_in_container,
)
from .systemd_unit import Run, Unit, is_masked

# The layout of Debian's package of Synapse.
PACKAGED = SynapseCommand(
    python=PACKAGED_PYTHON,
    config_paths=["/etc/matrix-synapse/homeserver.yaml", "/etc/matrix-synapse/conf.d"],
    keys_directory=None,
)
PACKAGED_USER = "matrix-synapse"


@dataclass(frozen=True)
class Wanted:
    """What the operator has set; what is empty is searched for.

    `services`: every process by its service; `service` is the same for one, and comes first.
    `container_ok`: whether Synapse may run in a container that is left alone, with any Python of the host in `python`.
    """

    service: str = ""
    services: Sequence[str] = ()
    python: str = ""
    config_paths: Sequence[str] = ()
    user: str = ""
    group: str = ""
    container_ok: bool = False
    container: str = ""
    container_paths: Sequence[str] = ()
    drop_in_name: str = "synapse-s3.conf"


@dataclass(frozen=True)
class Account:
    """The user and the group that Synapse runs as."""

    user: str
    group: str
    uid: int
    gid: int
    home: str


def installation(run: Run, wanted: Wanted) -> dict[str, Any]:
    """All that the roles need to know of the host's Synapse, as the module synapse_info documents it.

    Raises SynapseNotFoundError if there is no Synapse, and ConfigurationError, which names the setting to correct.
    """
    if wanted.container:
        return container_installation(
            run, wanted.container, wanted.service, wanted.drop_in_name, wanted.container_paths, PYTHON_PROBE
        )
    units = _units(run, wanted)
    unit = main_of(units) if units else None
    boxed = unit is not None and runs_in_container(unit)
    command = _command(run, unit, wanted)
    account = _account(unit, wanted)
    working_directory = _working_directory(unit, account)
    python = absolute(wanted.python or command.python, working_directory)
    config_paths = _existing(wanted.config_paths or command.config_paths, working_directory)
    main = Process(
        service=unit.name if unit else None,
        worker=bool(unit and is_worker(unit)),
        active=bool(unit and unit.active),
        stopped=bool(unit and unit.stopped),
        named=bool(wanted.service or wanted.services),
        python=python,
        config_paths=config_paths,
        working_directory=working_directory,
        keys_directory=_keys_directory(command, config_paths, working_directory),
        user=account.user,
        group=account.group,
    )
    return {
        "service": main.service,
        "active": main.active,
        "python": python,
        **python_of_synapse(run, python, needs_synapse=not (boxed and wanted.container_ok)),
        "config_paths": config_paths,
        "working_directory": working_directory,
        "keys_directory": main.keys_directory,
        **asdict(account),
        "container": None,
        "processes": processes(run, main, [other for other in units if other is not unit]),
    }


def _units(run: Run, wanted: Wanted) -> list[Unit]:
    """The services that were named, else the one that was found, else none."""
    names = list(dict.fromkeys(filter(None, [wanted.service, *wanted.services])))
    found = [find_unit(run, name) for name in names]
    if not names:
        found = [find_unit(run, None)]
        if found == [None] and not (wanted.python and wanted.config_paths) and not Path(PACKAGED.python).exists():
            found = [workers_alone(run)]
    # One service under two names, such as with and without its ending.
    return list({unit.name: unit for unit in found if unit is not None}.values())


def _command(run: Run, unit: Unit | None, wanted: Wanted) -> SynapseCommand:
    if wanted.python and wanted.config_paths and (wanted.user or unit is None or not runs_in_container(unit)):
        return _options_of(unit, SynapseCommand(wanted.python, list(wanted.config_paths), None))
    if unit is not None:
        if runs_in_container(unit):
            refuse_container(unit)
        return command_of(unit)
    if Path(PACKAGED.python).exists():
        return PACKAGED
    masked = [name for name in USUAL_UNITS if is_masked(run, name)]
    if masked:
        raise ConfigurationError(
            f"The service {masked[0]} is masked, so systemd does not show how it starts Synapse. Run 'systemctl unmask "
            f"{masked[0]}' (it need not be started), or set synapse_s3_synapse_python and "
            "synapse_s3_synapse_config_paths."
        )
    raise SynapseNotFoundError(
        "No Synapse was found on this host: no systemd service starts it, and it is not in "
        "/opt/venvs/matrix-synapse. Set synapse_s3_synapse_service, or synapse_s3_synapse_python and "
        "synapse_s3_synapse_config_paths."
    )


def _options_of(unit: Unit | None, explicit: SynapseCommand) -> SynapseCommand:
    """The explicit command, with the keys directory of the service if that can be read."""
    if unit is None or runs_in_container(unit):
        return explicit
    try:
        service = command_of(unit)
    except ConfigurationError:
        # The operator has set Python and paths because the command of the service is unknown.
        return explicit
    return SynapseCommand(explicit.python, explicit.config_paths, service.keys_directory)


def _account(unit: Unit | None, wanted: Wanted) -> Account:
    name = wanted.user or ((unit.user or "root") if unit else PACKAGED_USER)
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        raise SynapseNotFoundError(
            f"The user {name} does not exist on this host, but Synapse is to run as it. "
            "Set synapse_s3_synapse_user to the user of Synapse's process."
        ) from None
    group = wanted.group or (unit.group if unit and wanted.user in ("", unit.user) else "") or str(entry.pw_gid)
    try:
        group_entry = grp.getgrgid(int(group)) if group.isdigit() else grp.getgrnam(group)
    except KeyError:
        raise ConfigurationError(
            f"The group {group} of Synapse's user {entry.pw_name} does not exist on this host. "
            "Set synapse_s3_synapse_group to the group of Synapse's process."
        ) from None
    return Account(entry.pw_name, group_entry.gr_name, entry.pw_uid, group_entry.gr_gid, entry.pw_dir)


def _working_directory(unit: Unit | None, account: Account) -> str:
    # The default of systemd is the root directory.
    directory = unit.working_directory if unit else ""
    return account.home if directory == "~" else directory or "/"


def _existing(paths: Sequence[str], working_directory: str) -> list[str]:
    found = [absolute(path, working_directory) for path in paths]
    if not found:
        raise ConfigurationError(
            "Synapse's service names no configuration file. Set synapse_s3_synapse_config_paths to the files and "
            "directories Synapse reads."
        )
    # Of the package's paths, the directory may be missing; paths from a service or an option must all exist.
    if list(paths) == PACKAGED.config_paths:
        found = [path for path in found if os.access(path, os.R_OK)] or found
    missing = [path for path in found if not os.access(path, os.R_OK)]
    if missing:
        raise ConfigurationError(
            f"Synapse's configuration {', '.join(missing)} does not exist or cannot be read. "
            "Correct synapse_s3_synapse_config_paths, or the -c options of Synapse's service."
        )
    return found


def _keys_directory(command: SynapseCommand, config_paths: Sequence[str], working_directory: str) -> str:
    if command.keys_directory:
        return absolute(command.keys_directory, working_directory)
    files = config_files(config_paths)
    if not files:
        raise ConfigurationError(
            f"There is no configuration file of Synapse in {', '.join(config_paths)}. "
            "Correct synapse_s3_synapse_config_paths."
        )
    return str(Path(files[-1]).parent)
