"""Brings a database to the newest schema, and says when it is from the future."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from catalog.errors import BadSetup
from hub.store.store import Store

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0004"
"""The newest migration; a test compares it with the files."""


def upgrade(store: Store) -> None:
    """Bring the database to HEAD. Quick when it is there already. Raises BadSetup."""
    store.check()
    found = revision(store)
    if found == HEAD:
        return
    if found is not None and not list((_MIGRATIONS / "versions").glob(f"{found}_*.py")):
        raise BadSetup(
            f"the database was written by a newer version (its schema is {found})",
            next="install that version again, or restore a backup made by this one",
        )
    from alembic import command

    command.upgrade(alembic_config(store), "head")


def revision(store: Store) -> str | None:
    """The migration that the database is at; None for an empty one."""
    if not inspect(store.engine).has_table("alembic_version"):
        return None
    with store.engine.connect() as connection:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def alembic_config(store: Store) -> "Config":
    """Alembic's configuration for this store; the password is not in any file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["engine"] = store.engine
    return config
