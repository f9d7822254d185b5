# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services are restarted one after the other, and no further one when a process does not answer."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils import synapse_restart
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_restart import Service, restart

NAMES = ["a.service", "b.service"]
SERVICES = [Service("a.service", "http://a"), Service("b.service", "http://b")]


class Host:
    """Records what is done; `answers` is what a process says to a path, `states` what systemd says of a service."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.answers: dict[str, Any] = {}
        self.states: dict[str, str] = {}
        self.broken = ""

    def run(self, command: Any) -> tuple[int, str, str]:
        verb = command[1]
        if verb == "show":
            state = self.states.get(command[-1], "active")
            return 0, f"Id={command[-1]}\nLoadState=loaded\nActiveState={state}\n", ""
        self.done.append(" ".join([verb, *command[3:]]))
        return (1, "", "Job failed.") if command[-1] == self.broken else (0, "", "")

    def fetch(self, url: str, path: str) -> tuple[int, bytes]:
        self.done.append(url)
        answer = self.answers.get(url + path, self.answers.get(url, (200, b"OK\n")))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(synapse_restart, "PAUSE", 0)
    return Host()


def test_the_second_is_restarted_when_the_first_answers(host: Host) -> None:
    host.answers["http://a"] = [ConnectionRefusedError("refused"), (502, b""), (200, b"OK")]
    outcome = restart(host.run, host.fetch, SERVICES, 5)
    assert (outcome.restarted, outcome.failed) == (NAMES, None)
    assert host.done[:2] == ["daemon-reload", "restart a.service"]
    assert host.done.count("http://a") >= 3
    assert host.done[-2:] == ["restart b.service", "http://b"]


@pytest.mark.parametrize("answer", [ConnectionRefusedError("refused"), (500, b""), (200, b"<html>"), (404, b"")])
def test_the_second_is_left_alone_when_the_first_does_not_answer(host: Host, answer: Any) -> None:
    host.answers["http://a"] = answer
    outcome = restart(host.run, host.fetch, SERVICES, 0)
    assert (outcome.restarted, outcome.failed) == ([], "a.service")
    assert "http://a" in str(outcome.reason)
    assert "restart b.service" not in host.done


def test_the_second_is_left_alone_when_systemd_cannot_restart_the_first(host: Host) -> None:
    host.broken = "a.service"
    outcome = restart(host.run, host.fetch, SERVICES, 5)
    assert outcome.failed == "a.service" and "Job failed." in str(outcome.reason)
    assert "restart b.service" not in host.done


def test_a_proxy_that_does_not_pass_health_on_is_asked_for_the_versions(host: Host) -> None:
    host.answers["http://a/health"] = (404, b"")
    host.answers["http://a/_matrix/client/versions"] = (200, b'{"versions": []}')
    assert restart(host.run, host.fetch, SERVICES, 0).restarted == NAMES


def test_a_process_without_a_listener_only_has_to_run(host: Host) -> None:
    assert restart(host.run, host.fetch, [Service("a.service")], 0).restarted == ["a.service"]
    host.states["a.service"] = "failed"
    outcome = restart(host.run, host.fetch, [Service("a.service")], 0)
    assert outcome.failed == "a.service" and "does not run" in str(outcome.reason)
