"""The migrations form one line that ends at the schema which the code expects."""

from alembic.script import ScriptDirectory

from hub.store import schema
from hub.store.store import Store


def test_there_is_one_head_and_the_code_knows_it() -> None:
    store = Store("sqlite://")
    scripts = ScriptDirectory.from_config(schema.alembic_config(store))
    assert scripts.get_heads() == [schema.HEAD]
    assert len(scripts.get_bases()) == 1
    store.close()


def test_every_migration_goes_down_too() -> None:
    store = Store("sqlite://")
    for script in ScriptDirectory.from_config(schema.alembic_config(store)).walk_revisions():
        assert script.doc
        assert script.module.upgrade.__code__.co_code != script.module.downgrade.__code__.co_code
    store.close()
