# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's real Synapse is found, and every way of starting it with systemd is parsed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ansible
import pytest
from run_module import run_module, run_module_process
from synapse_host import OPERATORS_SECRETS, facts, module_environment

UNITS = Path("/run/systemd/system")
NAME = "found-by-tests"
SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.fixture
def start_by() -> Iterator[Callable[..., None]]:
    """Write a unit that systemd knows but never starts."""
    unit = UNITS / f"{NAME}.service"
    UNITS.mkdir(exist_ok=True)

    def write(exec_start: str, *lines: str) -> None:
        unit.write_text("\n".join(["[Service]", *lines, f"ExecStart={exec_start}", ""]))
        subprocess.run(["systemctl", "daemon-reload"], check=True)

    yield write
    unit.unlink(missing_ok=True)
    subprocess.run(["systemctl", "daemon-reload"], check=True)


@pytest.fixture(scope="module")
def no_program() -> Iterator[None]:
    path = Path("/var/tmp/no-program")
    path.write_bytes(b"\x00\x01")
    path.chmod(0o755)
    yield
    path.unlink()


def info(**options: Any) -> dict[str, Any]:
    # As on a host: with the system's Python, which has neither Synapse nor PyYAML.
    result = run_module("synapse_info", options, check=True, python=SYSTEM_PYTHON, environment=module_environment())
    assert result["changed"] is False
    found: dict[str, Any] = result["synapse"]
    return found


def refusal(**options: Any) -> str:
    result = run_module("synapse_info", options, python=SYSTEM_PYTHON, environment=module_environment())
    assert result.get("failed"), result
    return str(result["msg"])


def test_the_running_synapse_is_found_without_settings() -> None:
    known = facts()
    found = info()
    assert found["service"] == known["service"] == "matrix-synapse.service"
    assert found["active"] is True
    assert found["python"] == known["python"]
    assert found["config_paths"] == known["config_paths"]
    assert found["user"] == found["group"] == known["user"]
    assert found["working_directory"] == found["home"] == "/var/lib/synapse"
    assert found["keys_directory"] == "/etc/matrix-synapse"
    assert found["pip"] is True
    assert found["uid"] > 0
    assert found["version"].split(".")[0] == "1"
    assert found["python_version"].startswith("3.")


def test_empty_settings_count_as_unset() -> None:
    assert info(service="", python="", config_paths=[], user="", group="") == info()


@pytest.mark.parametrize(
    ("exec_start", "lines"),
    [
        ("{bin}/python -m synapse.app.homeserver -c {main}", []),
        ("{bin}/synapse_homeserver --config-path={main}", []),
        ("{bin}/synctl start {main}", ["Type=forking"]),
        ("/usr/bin/env {bin}/python -m synapse.app.homeserver -c {main}", []),
        ("/usr/bin/env python -m synapse.app.homeserver -c {main}", ["Environment=PATH={bin}:/usr/bin"]),
        ("{bin}/python -m synapse.app.homeserver -c ${{MAIN}}", ["Environment=MAIN={main}"]),
        ("{bin}/python -m synapse.app.homeserver $ARGS", ['Environment="ARGS=-c {main}" TOKEN=an-s3cret']),
        ("{bin}/python -m synapse.app.homeserver -c homeserver.yaml", ["WorkingDirectory={directory}"]),
        ("@{bin}/python synapse -m synapse.app.homeserver -c {main}", []),
        ("-{bin}/python -m synapse.app.homeserver -c{main}", ["WorkingDirectory=-/nowhere"]),
    ],
)
def test_each_way_of_starting_synapse_is_parsed(
    start_by: Callable[..., None], exec_start: str, lines: list[str]
) -> None:
    main = facts()["config_paths"][0]
    names = {"bin": str(Path(facts()["python"]).parent), "main": main, "directory": str(Path(main).parent)}
    start_by(exec_start.format(**names), "User=synapse", *(line.format(**names) for line in lines))
    found = info(service=NAME)
    assert found["service"] == f"{NAME}.service"
    assert found["active"] is False
    assert Path(found["python"]).parent == Path(names["bin"])
    assert found["config_paths"] == [main]
    assert found["user"] == "synapse"
    assert "an-s3cret" not in str(found)


def test_an_environment_file_and_directories_are_read(start_by: Callable[..., None], tmp_path: Path) -> None:
    directory = tmp_path / "conf.d"
    directory.mkdir()
    (directory / "a.yaml").write_text("a: 1\n")
    (tmp_path / "env").write_text(f"# settings\nEXTRA='{directory}'\nTOKEN=an-s3cret\n")
    start_by(
        f"{facts()['python']} -m synapse.app.homeserver -c {facts()['config_paths'][0]} --config-path=${{EXTRA}}/",
        f"EnvironmentFile={tmp_path}/env",
        f"EnvironmentFile=-{tmp_path}/none",
        "User=synapse",
        "Group=daemon",
        "WorkingDirectory=~",
    )
    output = run_module_process(
        "synapse_info", {"service": NAME}, python=SYSTEM_PYTHON, environment=module_environment()
    )
    assert "an-s3cret" not in output.stdout + output.stderr
    found = info(service=NAME)
    assert found["config_paths"] == [facts()["config_paths"][0], str(directory)]
    assert found["keys_directory"] == str(directory)
    assert (found["group"], found["working_directory"]) == ("daemon", "/var/lib/synapse")
    explicit = info(service=NAME, user="nobody", config_paths=facts()["config_paths"])
    assert (explicit["user"], explicit["group"]) == ("nobody", "nogroup")
    assert explicit["keys_directory"] == "/etc/matrix-synapse"


def test_a_service_without_a_user_runs_as_root(start_by: Callable[..., None]) -> None:
    start_by(f"{facts()['python']} -m synapse.app.homeserver -c {facts()['config_paths'][0]} --keys-directory /srv")
    found = info(service=NAME)
    assert (found["user"], found["uid"], found["working_directory"], found["keys_directory"]) == (
        "root",
        0,
        "/",
        "/srv",
    )


def test_a_container_is_refused_unless_all_settings_are_given(start_by: Callable[..., None]) -> None:
    start_by("/usr/bin/env docker start --attach matrix-synapse")
    words = refusal(service=NAME)
    assert "container is not supported" in words
    for setting in ("synapse_s3_synapse_python", "synapse_s3_synapse_config_paths", "synapse_s3_synapse_user"):
        assert setting in words
    known = facts()
    said = {"python": known["python"], "config_paths": known["config_paths"]}
    assert "container is not supported" in refusal(service=NAME, **said)
    assert info(service=NAME, **said, user="synapse")["user"] == "synapse"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"service": "no-such"}, "no service no-such. Correct synapse_s3_synapse_service"),
        ({"python": "/nowhere/python"}, "/nowhere/python does not exist or cannot be run"),
        ({"python": "/usr/bin/python3"}, "/usr/bin/python3 does not run Synapse (ModuleNotFoundError"),
        ({"python": "/bin/echo"}, "/bin/echo does not run Synapse"),
        ({"python": "/var/tmp/no-program"}, "/var/tmp/no-program does not run Synapse (Exec format error)"),
        ({"config_paths": ["/nowhere.yaml"]}, "/nowhere.yaml does not exist"),
        ({"config_paths": ["/var/empty-for-tests"]}, "/var/empty-for-tests does not exist"),
        ({"user": "no-such"}, "The user no-such"),
        ({"group": "no-such"}, "The group no-such"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(no_program: None, options: dict[str, Any], words: str) -> None:
    told = refusal(**options)
    assert words in told
    assert f"synapse_s3_synapse_{next(iter(options))}" in told


def test_a_missing_synapse_is_an_answer_where_it_may_be_missing(no_program: None) -> None:
    options = {"service": "no-such-synapse.service", "missing_ok": True}
    told = run_module("synapse_info", options, python=SYSTEM_PYTHON, environment=module_environment())
    assert (told.get("failed"), told["synapse"]) == (None, {})
    assert "synapse_s3_synapse_service" in told["not_found_reason"]
    assert told["host_python"]
    # What is there and cannot be run is no missing Synapse.
    wrong = {"python": "/var/tmp/no-program", "missing_ok": True}
    assert run_module("synapse_info", wrong, python=SYSTEM_PYTHON, environment=module_environment())["failed"]


def test_the_look_at_the_host_reads_the_configuration_and_names_directories_of_others(tmp_path: Path) -> None:
    found = info()
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "file").touch()
    options = {
        "config_paths": found["config_paths"],
        "working_directory": found["working_directory"],
        "directories": [{"setting": "synapse_s3_config_dir", "path": str(theirs), "marks": ["location.json"]}],
        "pythons": [found["python"]],
        "user": found["user"],
        "group": found["group"],
        "readable": [found["config_paths"][0], "/etc/shadow"],
        "writable": [found["home"], "/root"],
        "times": [{"kind": "calendar", "value": "nightly"}, {"kind": "timespan", "value": "30m"}],
    }
    told = run_module(
        "synapse_preflight_info", options, check=True, python=found["python"], environment=module_environment()
    )
    assert told["changed"] is False
    assert told["media_path"] == told["homeserver"]["media_store_path"]
    assert told["paths"][told["media_path"]]["is_directory"]
    assert [words for words in told["problems"] if "synapse_s3_config_dir" in words and "it holds file" in words]
    assert told["pythons"][found["python"]]["packages"]["matrix-synapse"] == found["version"]
    assert told["unreadable"] == ["/etc/shadow"]
    assert "/root" in told["unwritable"]
    assert [time["valid"] for time in told["times"]] == [False, True]
    assert [secret for secret in OPERATORS_SECRETS if secret in str(told)] == []


def test_a_host_without_systemd_needs_all_settings(tmp_path: Path) -> None:
    known = facts()
    environment = {**module_environment(), "PATH": str(tmp_path)}
    told = run_module("synapse_info", {}, python=SYSTEM_PYTHON, environment=environment)
    assert told.get("failed")
    assert "No Synapse was found on this host" in told["msg"]
    said = {"python": known["python"], "config_paths": known["config_paths"], "user": known["user"]}
    found = run_module("synapse_info", said, python=SYSTEM_PYTHON, environment=environment)["synapse"]
    assert (found["service"], found["active"], found["working_directory"]) == (None, False, "/")
    assert found["config_paths"] == known["config_paths"]


def test_a_service_of_another_program_is_refused_without_its_command(start_by: Callable[..., None]) -> None:
    start_by("/bin/sleep an-s3cret")
    words = refusal(service=NAME)
    assert "does not start Synapse in a known way" in words
    assert "an-s3cret" not in words


def test_the_summary_of_the_configuration_has_no_secret() -> None:
    known = facts()
    done = run_module_process(
        "homeserver_config_info",
        {"config_paths": known["config_paths"], "working_directory": "/var/lib/synapse"},
        python=known["python"],
        environment=module_environment(),
    )
    for secret in OPERATORS_SECRETS:
        assert secret not in done.stdout + done.stderr
    result = run_module(
        "homeserver_config_info",
        {"config_paths": known["config_paths"], "working_directory": "/var/lib/synapse"},
        python=known["python"],
        environment=module_environment(),
    )
    found = result["homeserver"]
    assert found["server_name"] == known["server_name"]
    assert found["base_url"] == known["url"]
    assert found["media_store_path"] == known["media_store_path"]
    assert found["database_name"] == "psycopg2"
    assert found["config_files"] == known["config_paths"]


def test_media_retention_is_explained_with_its_values(tmp_path: Path) -> None:
    path = tmp_path / "homeserver.yaml"
    arguments = {"config_paths": [str(path)], "working_directory": "/"}

    def warnings(text: str) -> list[str]:
        path.write_text(text)
        result = run_module(
            "homeserver_config_info", arguments, python=facts()["python"], environment=module_environment()
        )
        return list(result.get("warnings", []))

    assert warnings("server_name: a\n") == []
    (said,) = warnings("server_name: a\nmedia_retention: {local_media_lifetime: 90d}\n")
    assert "media_retention (local_media_lifetime: 90d)" in said
    assert "objects in the bucket stay" in said


def test_a_python_without_pyyaml_gives_a_message(tmp_path: Path) -> None:
    # Ansible and the collection, without the packages beside Ansible.
    (tmp_path / "ansible").symlink_to(Path(ansible.__file__).parent)
    collection = module_environment()["PYTHONPATH"].split(":", maxsplit=1)[0]
    arguments = {"config_paths": facts()["config_paths"], "working_directory": "/"}
    result = run_module(
        "homeserver_config_info",
        arguments,
        python=SYSTEM_PYTHON,
        environment={"PYTHONPATH": f"{collection}:{tmp_path}"},
    )
    assert result.get("failed")
    assert "PyYAML" in result["msg"]


def test_a_templated_worker_is_one_of_the_processes() -> None:
    known = facts()
    template = UNITS / f"{NAME}@.service"
    paths = [*known["config_paths"], "/var/tmp/worker-media.yaml"]
    options = " ".join(f"-c {path}" for path in known["config_paths"])
    command = f"{known['python']} -m synapse.app.generic_worker {options} -c /var/tmp/worker-%i.yaml"
    template.write_text(f"[Service]\nUser={known['user']}\nWorkingDirectory=/var/tmp\nExecStart={command}\n")
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    try:
        found = info(services=["matrix-synapse", f"{NAME}@media"])
    finally:
        template.unlink()
        subprocess.run(["systemctl", "daemon-reload"], check=True)
    assert found["service"] == "matrix-synapse.service"
    main, worker = found["processes"]
    assert (main["service"], main["worker"]) == ("matrix-synapse.service", False)
    assert (worker["service"], worker["worker"], worker["stopped"]) == (f"{NAME}@media.service", True, True)
    assert (worker["config_paths"], worker["working_directory"]) == (paths, "/var/tmp")
    assert (worker["python"], worker["user"]) == (known["python"], known["user"])
