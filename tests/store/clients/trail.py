"""Triggers that write down every change of what is held, in the order of the commits.

Whatever the product remembers of its past may be wrong or tidied up; the database itself tells here
what was held after each statement, so that "never, at any time" can be checked afterwards. Writers
take turns on both databases, so the numbers of the trail are the order of their commits.
"""
# ruff: noqa: S608 (the statements are this file's own)

from dataclasses import dataclass

from tests.store.clients.database import Database

_TABLE = """
CREATE TABLE trail (
    seq {serial}, what TEXT NOT NULL, id TEXT NOT NULL, place TEXT NOT NULL, amount BIGINT NOT NULL
)
"""


@dataclass(frozen=True)
class Watched:
    """On each `event` of `table`: a line saying that `id` now holds `amount` of `what` at `place`."""

    table: str
    event: str
    what: str
    id: str
    place: str
    amount: str


_SHARE = ("NEW.attempt_id || ' ' || NEW.device_id", "NEW.device_id")
_WHILE_HELD = "CASE WHEN NEW.released_at IS NULL THEN {} ELSE 0 END"

WATCHED = (
    *(
        Watched("share", event, "gpu", *_SHARE, _WHILE_HELD.format("NEW.milli"))
        for event in ("INSERT", "UPDATE")
    ),
    *(
        Watched("attempt", event, what, "NEW.id", "NEW.node", _WHILE_HELD.format(amount))
        for event in ("INSERT", "UPDATE")
        for what, amount in (
            ("cpu", "NEW.cpu_milli"),
            ("memory", "NEW.memory_bytes"),
            ("workloads", "1"),
        )
    ),
    Watched("workload", "INSERT", "status", "NEW.id", "' ' || NEW.status", "0"),
    Watched("workload", "UPDATE", "status", "NEW.id", "OLD.status || ' ' || NEW.status", "0"),
    Watched("account", "UPDATE", "balance", "NEW.id", "NEW.kind", "NEW.balance"),
    *(
        Watched(table, "DELETE", "deleted", f"'{table}'", "''", "0")
        for table in ("share", "attempt", "posting", "entry", "account", "workload", "audit")
    ),
)


def lay(database: Database) -> None:
    """Install the triggers on a database of the newest schema that has no trail yet."""
    serial = "INTEGER PRIMARY KEY AUTOINCREMENT" if database.is_sqlite else "BIGSERIAL PRIMARY KEY"
    database.run(_TABLE.format(serial=serial))
    for number, watched in enumerate(WATCHED):
        name = f"trail_{number}"
        insert = (
            "INSERT INTO trail (what, id, place, amount) VALUES"
            f" ('{watched.what}', {watched.id}, {watched.place}, {watched.amount});"
        )
        if database.is_sqlite:
            database.run(
                f"CREATE TRIGGER {name} AFTER {watched.event} ON {watched.table} BEGIN {insert} END"
            )
        else:
            database.run(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN {insert} RETURN NULL; END $$",
                f"CREATE TRIGGER {name} AFTER {watched.event} ON {watched.table}"
                f" FOR EACH ROW EXECUTE FUNCTION {name}()",
            )
