# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Synapse in a virtualenv of uv or pipx, which has no pip, and virtualenvs whose Python became another version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

TOOLS = "/opt/test-tools/uv"
OWNER = "nobody"
CONFIRMED = '{"synapse_s3_uninstall_confirm": true}'
VERSION = "1.163.2"


class Virtualenv:
    """A second Synapse with a virtualenv of its own, whose packages belong to another user than Synapse's."""

    def __init__(self, homeserver, name: str, python: str) -> None:
        self.homeserver = homeserver
        self.name = name
        self.python = python
        self.state = f"/var/lib/{name}"
        self.config = f"/etc/{name}/homeserver.yaml"
        self.variables = json.dumps(
            {
                "synapse_s3_instance": name,
                "synapse_s3_synapse_service": f"{name}.service",
                "synapse_s3_prefix": f"{name}/",
                "synapse_s3_migrate_enabled": False,
            }
        )

    def start(self) -> None:
        config = {
            "server_name": f"{self.name}.example.org",
            "listeners": [
                {"port": 8028, "type": "http", "bind_addresses": ["127.0.0.1"], "resources": [{"names": ["client"]}]}
            ],
            "database": {"name": "sqlite3", "args": {"database": f"{self.state}/homeserver.db"}},
            "media_store_path": f"{self.state}/media_store",
            "signing_key_path": f"{self.state}/signing.key",
            "pid_file": f"{self.state}/homeserver.pid",
            "report_stats": False,
            "trusted_key_servers": [],
        }
        command = f"{self.python} -m synapse.app.homeserver -c {self.config}"
        unit = (
            f"[Service]\nType=notify\nUser=matrix-synapse\nWorkingDirectory={self.state}\n"
            f"ExecStartPre={command} --generate-keys\nExecStart={command}\n"
        )
        run = self.homeserver.run
        run("install", "-d", "-o", "matrix-synapse", f"/etc/{self.name}", self.state, f"{self.state}/media_store")
        # A JSON value is valid YAML.
        lines = "\n".join(f"{key}: {json.dumps(value)}" for key, value in config.items())
        run("sh", "-c", f"printf '%s\\n' '{lines}' > {self.config}")
        run("sh", "-c", f"printf '%s' '{unit}' > /etc/systemd/system/{self.name}.service")
        run("systemctl", "daemon-reload")
        run("systemctl", "start", f"{self.name}.service")

    def remove(self) -> None:
        run = self.homeserver.run
        run("systemctl", "stop", f"{self.name}.service")
        run("rm", "-r", f"/etc/{self.name}", self.state, f"/etc/systemd/system/{self.name}.service")
        run("systemctl", "daemon-reload")

    def packages(self) -> dict[str, str]:
        """Each file of the virtualenv but for compiled Python, and its owner."""
        listing = self.homeserver.run(
            "find", self.python.rpartition("/bin/")[0], "-type", "f", "!", "-name", "*.pyc", "-printf", "%P\\t%u\\n"
        )
        return dict(line.split("\t") for line in listing.splitlines())


def as_owner(homeserver, command: str) -> str:
    """In a shell with uv and pipx, and with the package index and the certificates that pip has on this host."""
    settings = (
        f"""pip() {{ {TOOLS}/bin/pip config list 2>/dev/null | sed -n "s/^global[.]$1='\\(.*\\)'$/\\1/p"; }}; """
        'cert=$(pip cert); [ -z "$cert" ] || export SSL_CERT_FILE="$cert"; '
        'index=$(pip index-url); [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"; '
        f"export PATH={TOOLS}/bin:$PATH HOME=/srv/owner PIPX_HOME=/srv/pipx PIPX_BIN_DIR=/srv/owner/bin; "
    )
    return homeserver.run("runuser", "-u", OWNER, "--", "sh", "-ec", settings + command)


@pytest.fixture(scope="module", autouse=True)
def tools(homeserver) -> Iterator[None]:
    homeserver.run("/usr/bin/python3", "-m", "venv", TOOLS)
    homeserver.run(f"{TOOLS}/bin/pip", "install", "--quiet", "uv==0.13.9", "pipx==1.18.4")
    homeserver.run("install", "-d", "-o", OWNER, "/srv/owner", "/srv/uv", "/srv/pipx")
    yield
    homeserver.run("rm", "-r", TOOLS, "/srv/owner", "/srv/uv", "/srv/pipx")


@pytest.fixture(params=["uv", "pipx"])
def virtualenv(request, homeserver) -> Iterator[Virtualenv]:
    if request.param == "uv":
        python = "/srv/uv/venv/bin/python"
        make = f"uv venv --quiet --python /usr/bin/python3 /srv/uv/venv; uv pip install --quiet --python {python} "
    else:
        python = "/srv/pipx/venvs/matrix-synapse/bin/python"
        make = "pipx install --quiet --python /usr/bin/python3 "
    as_owner(homeserver, f"cd /srv/owner; umask 022; {make} matrix-synapse=={VERSION}")
    made = Virtualenv(homeserver, f"synapse-of-{request.param}", python)
    made.start()
    yield made
    made.remove()


def test_a_virtualenv_without_pip_gets_the_storage_provider_and_nothing_else(homeserver, play, virtualenv):
    before = virtualenv.packages()
    assert not [path for path in before if "/site-packages/pip/" in path]
    assert set(before.values()) == {OWNER}

    on = play("matrix_ops.synapse_s3.site", "--tags", "install", "-e", virtualenv.variables)
    assert on.status == 0, on.output[-3000:]
    homeserver.run("runuser", "-u", "matrix-synapse", "--", virtualenv.python, "-c", "import s3_storage_provider")
    now = virtualenv.packages()
    assert set(now.values()) == {OWNER}
    added = {
        match[1] for path in now if (match := re.search(r"site-packages/([\w.]+)-[^/]+\.dist-info/METADATA", path))
    }
    added -= {
        match[1] for path in before if (match := re.search(r"site-packages/([\w.]+)-[^/]+\.dist-info/METADATA", path))
    }
    assert "synapse_s3_storage_provider" in added
    assert "pip" not in added

    off = play("matrix_ops.synapse_s3.uninstall", "-e", virtualenv.variables, "-e", CONFIRMED)
    assert off.status == 0, off.output[-3000:]
    assert virtualenv.packages() == before


def said(play) -> str:
    """Ansible's output may break a message into several lines."""
    return re.sub(r"\s+", " ", play.output)


def test_a_python_of_another_version_is_explained_and_mended_by_the_play(homeserver, play):
    """As after an upgrade of the distribution: the packages are where an earlier Python looked for them."""
    folder = "/opt/synapse-s3/venv/lib"
    homeserver.run("mv", f"{folder}/python3.11", f"{folder}/python3.9")
    ended = homeserver.host.run("synapse-s3-migrate")
    assert ended.rc == 2
    assert "Run the playbook matrix_ops.synapse_s3.site, which makes the virtualenv" in ended.stderr
    again = play("matrix_ops.synapse_s3.site")
    assert again.status == 0, again.output[-3000:]
    homeserver.run("synapse-s3-migrate", "--dry-run")
    assert not homeserver.host.file(f"{folder}/python3.9").exists


def test_a_synapse_whose_python_is_another_version_is_explained(homeserver, play):
    folder = "/opt/venvs/matrix-synapse/lib"
    homeserver.run("mv", f"{folder}/python3.11", f"{folder}/python3.9")
    try:
        refused = play("matrix_ops.synapse_s3.site")
        restart = homeserver.host.run(f"/bin/sh /usr/local/lib/synapse-s3/restore.sh {homeserver.facts['python']}")
    finally:
        homeserver.run("mv", f"{folder}/python3.9", f"{folder}/python3.11")
    assert refused.status != 0
    assert refused.changed == 0
    assert "was made with Python 3.9, and its Python is 3.11 now" in said(refused)
    assert "Install the build of matrix-synapse-py3 for this release of the distribution" in said(refused)
    assert restart.rc == 1
    assert "Synapse itself is not in /opt/venvs/matrix-synapse/bin/python" in restart.stderr
