# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Registers users through Synapse's shared-secret endpoint, logs them in, and writes a file for the tests.

Reads the facts as JSON on standard input, adds user ids and access tokens, writes them to the file named as argument
(0600) and prints "changed", or "unchanged" if the file has them already and its tokens still work.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
from pathlib import Path
from typing import Any

from client import Client, RequestError


def register(client: Client, secret: str, name: str, password: str, admin: bool) -> None:
    nonce = client.call("GET", "/_synapse/admin/v1/register")["nonce"]
    signed = "\0".join((nonce, name, password, "admin" if admin else "notadmin"))
    mac = hmac.new(secret.encode(), signed.encode(), hashlib.sha1).hexdigest()
    content = {"nonce": nonce, "username": name, "password": password, "admin": admin, "mac": mac}
    try:
        client.call("POST", "/_synapse/admin/v1/register", content)
    except RequestError as error:
        if error.errcode != "M_USER_IN_USE":
            raise


def token_works(url: str, token: str) -> bool:
    try:
        Client(url, token).call("GET", "/_matrix/client/v3/account/whoami")
    except RequestError as error:
        if error.errcode != "M_UNKNOWN_TOKEN":
            raise
        return False
    return True


def known_tokens(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    known = json.loads(file.read_text())
    return {name: user["access_token"] for name, user in known["users"].items()}


def ready_user(facts: dict[str, Any], wanted: dict[str, Any], token: str | None) -> dict[str, Any]:
    name, password = wanted["name"], wanted["password"]
    client = Client(facts["url"])
    if token is None or not token_works(facts["url"], token):
        register(client, facts["registration_shared_secret"], name, password, wanted["admin"])
        token = client.login(name, password)
    return {"user_id": f"@{name}:{facts['server_name']}", "password": password, "access_token": token}


def main() -> None:
    file = Path(sys.argv[1])
    facts = json.load(sys.stdin)
    tokens = known_tokens(file)
    facts["users"] = {user["name"]: ready_user(facts, user, tokens.get(user["name"])) for user in facts["users"]}
    text = json.dumps(facts, indent=2) + "\n"
    if file.exists() and file.read_text() == text:
        print("unchanged")
        return
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        os.fchmod(descriptor, 0o600)
        stream.write(text)
    print("changed")


if __name__ == "__main__":
    main()
