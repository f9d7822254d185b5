# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Synapse's Python has and how packages can be installed into it, or why it does not run Synapse."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .synapse_media.errors import ConfigurationError
from .synapse_service import SynapseNotFoundError
from .systemd_unit import Run

# The Python of Debian's package of Synapse.
PACKAGED_PYTHON = "/opt/venvs/matrix-synapse/bin/python"

# The result is the last line, because importing Synapse may print warnings before it.
PYTHON_PROBE = """
import glob, importlib.metadata, importlib.util, json, os, sys, sysconfig
try:
    import synapse
    import_error = None
except ImportError as error:
    synapse, import_error = None, "%s: %s" % (type(error).__name__, error)
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
def bundled_pip():
    found = importlib.util.find_spec("ensurepip")
    # Debian's ensurepip takes its wheels from a folder that another package fills.
    folders = [os.path.join(os.path.dirname(found.origin), "_bundled")] if found else []
    folders += filter(None, [sysconfig.get_config_var("WHEEL_PKG_DIR"), "/usr/share/python-wheels"])
    return next((wheel for folder in folders for wheel in glob.glob(os.path.join(folder, "pip-*.whl"))), None)
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
    "import_error": import_error,
    "python_kind": kind,
    "ensurepip": importlib.util.find_spec("ensurepip") is not None,
    "pip_wheel": None if has_pip else bundled_pip(),
    "version": (version("matrix-synapse") or getattr(synapse, "__version__", None)) if synapse else None,
    "python_version": "%d.%d.%d" % sys.version_info[:3],
    "pip": has_pip,
    "provider_version": version("synapse-s3-storage-provider"),
    "enhanced_provider_version": version("enhanced-s3-storage-provider"),
    "boto3_version": version("boto3"),
}))
"""


# Where the packages of a virtualenv are, for each version of Python that it was ever made with.
_PREFIX = """
import json, sys
print(json.dumps([sys.prefix, "%d.%d" % sys.version_info[:2], sys.prefix != sys.base_prefix]))
"""


def python_of_synapse(run: Run, python: str, *, needs_synapse: bool = True) -> dict[str, Any]:
    """The versions of packages in this Python, and how pip can be run with it; see the module synapse_info.

    Raises SynapseNotFoundError if there is no such file, and ConfigurationError if it does not run Synapse and has to.
    """
    if not os.access(python, os.X_OK):
        raise _not_executable(python)
    # Isolated from the environment of this process, and without bytecode: this must not write anything.
    status, output, error = run([python, "-I", "-B", "-c", PYTHON_PROBE])
    facts = _last_line(output) if status == 0 else None
    import_error = facts.pop("import_error", None) if isinstance(facts, dict) else None
    if not isinstance(facts, dict) or (needs_synapse and not facts.get("version")):
        last_line = import_error or error.strip().rpartition("\n")[2] or f"exit status {status}"
        raise ConfigurationError(
            _made_for_another_python(run, python)
            or f"{python} does not run Synapse ({last_line}). "
            "Set synapse_s3_synapse_python to the Python of Synapse's virtualenv."
        )
    return _with_remedy(facts, python)


def _last_line(output: str) -> Any:
    try:
        return json.loads(output.strip().rpartition("\n")[2])
    except ValueError:
        return None


def _not_executable(python: str) -> ConfigurationError:
    if os.path.islink(python) and not os.path.exists(python):  # noqa: PTH110, PTH114 - a path as the operator wrote it
        return ConfigurationError(
            f"Synapse's Python {python} is a link to {os.path.realpath(python)}, which is not there any more, as after "
            f"an upgrade of the distribution. {_rebuild(python)}"
        )
    error_class = ConfigurationError if os.path.lexists(python) else SynapseNotFoundError
    return error_class(f"Synapse's Python {python} does not exist or cannot be run. Correct synapse_s3_synapse_python.")


def _made_for_another_python(run: Run, python: str) -> str | None:
    """A sentence if Synapse lies where an earlier version of this virtualenv's Python looked for it."""
    status, output, _error = run([python, "-I", "-B", "-c", _PREFIX])
    found = _last_line(output) if status == 0 else None
    if not isinstance(found, list) or not found[2]:
        return None
    prefix, version, _virtual = found
    others = sorted(path.parents[1].name for path in Path(prefix).glob("lib/python*/site-packages/synapse"))
    if not others or f"python{version}" in others:
        return None
    return (
        f"Synapse's virtualenv {prefix} was made with {others[-1].replace('python', 'Python ')}, and its Python is "
        f"{version} now, which does not see the packages in lib/{others[-1]}. {_rebuild(python)}"
    )


def _rebuild(python: str) -> str:
    if python == PACKAGED_PYTHON:
        cure = "Install the build of matrix-synapse-py3 for this release of the distribution"
    else:
        cure = "Make the virtualenv anew and install Synapse into it"
    return f"Synapse itself does not start with it. {cure}, and run again, which installs the storage provider."


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
