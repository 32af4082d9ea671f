"""Alembic's entry: migrations run on the engine that control opened."""

from alembic import context
from sqlmodel import SQLModel

import hub.store.access_tables
import hub.store.course_tables
import hub.store.desk_tables
import hub.store.tables  # noqa: F401 (each fills the metadata)

engine = context.config.attributes["engine"]
with engine.connect() as connection:
    context.configure(
        connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
