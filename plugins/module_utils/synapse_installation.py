# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the Synapse on this host, and check that its Python runs, its files exist and its user exists."""

from __future__ import annotations

import grp
import json
import os
import pwd
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .synapse_container.installation import container_installation
from .synapse_media.errors import ConfigurationError
from .synapse_media.settings.homeserver import absolute, config_files
from .synapse_service import (
    USUAL_UNITS,
    SynapseCommand,
    SynapseNotFoundError,
    command_of,
    find_unit,
    refuse_container,
    runs_in_container,
)
from .systemd_unit import Run, Unit, is_masked

# The layout of Debian's package of Synapse.
PACKAGED = SynapseCommand(
    python="/opt/venvs/matrix-synapse/bin/python",
    config_paths=["/etc/matrix-synapse/homeserver.yaml", "/etc/matrix-synapse/conf.d"],
    keys_directory=None,
)
PACKAGED_USER = "matrix-synapse"

# The result is the last line, because importing Synapse may print warnings before it.
_PROBE = """
import importlib.metadata, importlib.util, json, os, sys, sysconfig
import synapse
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
try:
    import pip
    has_pip = True
except ImportError:
    has_pip = False
def reads(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
virtual = sys.prefix != sys.base_prefix
made_by_uv = any(line.partition("=")[0].strip() == "uv" for line in reads(sys.prefix + "/pyvenv.cfg").splitlines())
marked = os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED"))
if os.path.exists(sys.prefix + "/pipx_metadata.json"):
    kind = "pipx"
elif virtual:
    kind = "uv" if made_by_uv else "virtualenv"
else:
    kind = "distribution" if marked else "system"
print()
print(json.dumps({
    "python_kind": kind,
    "ensurepip": importlib.util.find_spec("ensurepip") is not None,
    "version": version("matrix-synapse") or getattr(synapse, "__version__", None),
    "python_version": "%d.%d.%d" % sys.version_info[:3],
    "pip": has_pip,
    "provider_version": version("synapse-s3-storage-provider"),
    "enhanced_provider_version": version("enhanced-s3-storage-provider"),
    "boto3_version": version("boto3"),
}))
"""


@dataclass(frozen=True)
class Wanted:
    """What the operator has set; what is empty is searched for."""

    service: str = ""
    python: str = ""
    config_paths: Sequence[str] = ()
    user: str = ""
    group: str = ""
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
            run, wanted.container, wanted.service, wanted.drop_in_name, wanted.container_paths, _PROBE
        )
    unit = find_unit(run, wanted.service)
    command = _command(run, unit, wanted)
    account = _account(unit, wanted)
    working_directory = _working_directory(unit, account)
    python = absolute(wanted.python or command.python, working_directory)
    config_paths = _existing(wanted.config_paths or command.config_paths, working_directory)
    return {
        "service": unit.name if unit else None,
        "active": bool(unit and unit.active),
        "python": python,
        **_with_remedy(_probe(run, python), python),
        "config_paths": config_paths,
        "working_directory": working_directory,
        "keys_directory": _keys_directory(command, config_paths, working_directory),
        **asdict(account),
        "container": None,
    }


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


def _probe(run: Run, python: str) -> dict[str, Any]:
    """The versions of packages in this Python. Raises ConfigurationError if it does not run Synapse."""
    if not os.access(python, os.X_OK):
        error_class = ConfigurationError if os.path.lexists(python) else SynapseNotFoundError
        raise error_class(
            f"Synapse's Python {python} does not exist or cannot be run. Correct synapse_s3_synapse_python."
        )
    # Isolated from the environment of this process, and without bytecode: this must not write anything.
    status, output, error = run([python, "-I", "-B", "-c", _PROBE])
    try:
        facts = json.loads(output.strip().rpartition("\n")[2]) if status == 0 else None
    except ValueError:
        facts = None
    if not isinstance(facts, dict) or not facts.get("version"):
        last_line = error.strip().rpartition("\n")[2] or f"exit status {status}"
        raise ConfigurationError(
            f"{python} does not run Synapse ({last_line}). "
            "Set synapse_s3_synapse_python to the Python of Synapse's virtualenv."
        )
    return facts


def _with_remedy(facts: dict[str, Any], python: str) -> dict[str, Any]:
    """The facts with pip_remedy: how to install pip for this kind of Python; None if it has pip."""
    remedy = None if facts["pip"] else _pip_remedy(str(facts["python_kind"]), bool(facts.pop("ensurepip")), python)
    facts.pop("ensurepip", None)
    return {**facts, "pip_remedy": remedy}


def _pip_remedy(kind: str, has_ensurepip: bool, python: str) -> str:
    if kind == "uv":
        return f"It is in a virtualenv that uv made. Run 'uv pip install --python {python} pip' as its owner."
    if kind == "pipx":
        name = Path(python).parents[1].name
        return f"It is in a virtualenv that pipx made. Run 'pipx inject {name} pip' as its owner."
    if kind == "distribution":
        return (
            "It is the distribution's own Python, which does not accept packages from pip (PEP 668). Run Synapse in a "
            "virtualenv or from the packages of packages.matrix.org, or set synapse_s3_synapse_python if this is not "
            "the Python that runs it."
        )
    if kind == "system" and not has_ensurepip:
        return "It is not in a virtualenv. Install pip for it, on Debian and Ubuntu with 'apt install python3-pip'."
    if has_ensurepip:
        return f"Run '{python} -m ensurepip' as the owner of its packages."
    return (
        "It is in a virtualenv whose Python lacks ensurepip. Install that, on Debian and Ubuntu with "
        f"'apt install python3-venv', and run '{python} -m ensurepip' as the virtualenv's owner."
    )
