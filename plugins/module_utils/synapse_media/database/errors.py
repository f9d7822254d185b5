# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the drivers of both databases raise, in words for an operator."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

from ..errors import ConfigurationError, MediaError
from ..settings.homeserver import DatabaseSettings

DATABASE_ERRORS: tuple[type[Exception], ...] = (sqlite3.Error,)
HAS_PSYCOPG2 = False
try:
    import psycopg2

    HAS_PSYCOPG2 = True
    DATABASE_ERRORS = (sqlite3.Error, psycopg2.Error)
except ImportError:
    # Not needed where Synapse keeps its rows in SQLite.
    pass


def require_file(settings: DatabaseSettings) -> None:
    """SQLite would make an empty database at a path where there is none, and the script would find no media in it."""
    if settings.name != "sqlite3":
        return
    path = Path(settings.args["database"])
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        raise ConfigurationError(
            f"Synapse's SQLite database {path} cannot be opened ({error.strerror}). "
            "Correct synapse_s3_database, or database.args.database in Synapse's configuration."
        ) from error
    if not regular:
        raise ConfigurationError(f"{path} is no file. Set synapse_s3_database to Synapse's SQLite database.")


def explain_database(error: Exception, settings: DatabaseSettings) -> MediaError:
    """The driver's words, and which setting they are about; the password is in none of them."""
    return ConfigurationError(explain_database_words(f"{type(error).__name__}: {error}", settings))


def explain_database_words(words: str, settings: DatabaseSettings) -> str:
    said = " ".join(words.split())
    where = "SQLite database " + str(settings.args["database"]) if settings.name == "sqlite3" else "PostgreSQL database"
    if "password authentication failed" in said or "no password supplied" in said or "fe_sendauth" in said:
        remedy = "Correct user and password in synapse_s3_database, or in Synapse's configuration."
    elif "Peer authentication failed" in said or "Ident authentication failed" in said:
        remedy = "Run this as Synapse's user (synapse_s3_synapse_user), or give a password in synapse_s3_database."
    elif "UndefinedTable" in said or "no such table" in said or ("relation" in said and "does not exist" in said):
        remedy = "It has no media tables, so it is not Synapse's: correct synapse_s3_database."
    elif "permission denied" in said or "InsufficientPrivilege" in said:
        remedy = "Grant that user SELECT on local_media_repository and remote_media_cache, or use Synapse's own user."
    elif "does not exist" in said:
        remedy = "Correct dbname and user in synapse_s3_database, or in Synapse's configuration."
    elif "locked" in said:
        remedy = "Synapse is writing to it; run this again."
    else:
        remedy = "Check that it runs, and correct host and port in synapse_s3_database, or in Synapse's configuration."
    return f"Synapse's {where} cannot be read ({said.rstrip('.')}). {remedy}"
