"""Idle work: when an attempt was last at work, when its server last told, when it stops as idle."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COLUMNS = ("active_at", "heard_at", "idle_stop_at")


def upgrade() -> None:
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        for name in _COLUMNS:
            batch_op.add_column(sa.Column(name, sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        for name in reversed(_COLUMNS):
            batch_op.drop_column(name)
