"""The placement and quota engine: reservations, drains, quarantine, guarantees, prices."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "day_use",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("dimension", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "person_id", "dimension", "day"),
    )
    op.create_table(
        "drain",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("roll", sa.String(), nullable=False),
        sa.Column("most_out", sa.Integer(), nullable=False),
        sa.Column("span_s", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("empty_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("drain", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_drain_node"), ["node"], unique=False)

    op.create_table(
        "owner",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "price",
        sa.Column("offer_id", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("per_hour", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("offer_id", "starts_at"),
    )
    op.create_table(
        "recent_use",
        sa.Column("scope_id", sa.String(), nullable=False),
        sa.Column("dimension", sa.String(), nullable=False),
        sa.Column("amount", sa.Float(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope_id", "dimension"),
    )
    op.create_table(
        "reservation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ask", sa.JSON(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("first_day", sa.String(), nullable=False),
        sa.Column("last_day", sa.String(), nullable=False),
        sa.Column("starts", sa.String(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("weekdays", sa.JSON(), nullable=False),
        sa.Column("lend_margin_s", sa.Integer(), nullable=False),
        sa.Column("no_show_s", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("reservation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_reservation_tenant_id"), ["tenant_id"], unique=False)

    op.create_table(
        "held_window",
        sa.Column("reservation_id", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("release_reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["reservation_id"],
            ["reservation.id"],
        ),
        sa.PrimaryKeyConstraint("reservation_id", "starts_at"),
    )
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("reservation", sa.String(), nullable=False, server_default="")
        )
        batch_op.add_column(sa.Column("go_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("go_reason", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("go_text", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("counted", sa.String(), nullable=False, server_default=""))
        batch_op.create_index("attempt_uncounted", ["counted"], unique=False)
        batch_op.create_index("attempt_reservation", ["reservation"], unique=False)

    op.create_index("ix_posting_attempt_id", "posting", ["attempt_id"], unique=False)
    op.create_index("ix_entry_account_id", "entry", ["account_id"], unique=False)
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.add_column(sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("quarantined_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column("quarantine_reason", sa.String(), nullable=False, server_default="")
        )

    with op.batch_alter_table("quota", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("guaranteed", sa.BigInteger(), nullable=False, server_default="0")
        )
        batch_op.add_column(sa.Column("period", sa.String(), nullable=False, server_default=""))
        batch_op.alter_column("amount", existing_type=sa.BIGINT(), nullable=True)

    with op.batch_alter_table("share", schema=None) as batch_op:
        batch_op.add_column(sa.Column("profile", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("start", sa.Integer(), nullable=False, server_default="0"))

    with op.batch_alter_table("workload", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("gpu_count", sa.Integer(), nullable=False, server_default="1")
        )
        batch_op.add_column(
            sa.Column("gpu_memory_mib", sa.Integer(), nullable=False, server_default="0")
        )
        batch_op.add_column(sa.Column("vendors", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.add_column(
            sa.Column("whole_node", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        batch_op.add_column(sa.Column("apart", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(
            sa.Column("again", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        batch_op.add_column(sa.Column("saved_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("workload", schema=None) as batch_op:
        batch_op.drop_column("saved_at")
        batch_op.drop_column("again")
        batch_op.drop_column("apart")
        batch_op.drop_column("whole_node")
        batch_op.drop_column("vendors")
        batch_op.drop_column("gpu_memory_mib")
        batch_op.drop_column("gpu_count")

    with op.batch_alter_table("share", schema=None) as batch_op:
        batch_op.drop_column("start")
        batch_op.drop_column("profile")

    op.drop_index("ix_entry_account_id", table_name="entry")
    op.drop_index("ix_posting_attempt_id", table_name="posting")
    op.execute(sa.text("DELETE FROM quota WHERE amount IS NULL"))
    with op.batch_alter_table("quota", schema=None) as batch_op:
        batch_op.alter_column("amount", existing_type=sa.BIGINT(), nullable=False)
        batch_op.drop_column("period")
        batch_op.drop_column("guaranteed")

    # What SQLite copies loses its checks unless they are named again.
    checks = (
        sa.CheckConstraint("held_milli >= 0 AND held_milli <= 1000", name="held_at_most_all"),
    )
    table_args = checks if op.get_bind().dialect.name == "sqlite" else ()
    with op.batch_alter_table("device", schema=None, table_args=table_args) as batch_op:
        batch_op.drop_column("quarantine_reason")
        batch_op.drop_column("quarantined_at")
        batch_op.drop_column("failures")

    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.drop_index("attempt_reservation")
        batch_op.drop_index("attempt_uncounted")
        batch_op.drop_column("counted")
        batch_op.drop_column("go_text")
        batch_op.drop_column("go_reason")
        batch_op.drop_column("go_at")
        batch_op.drop_column("reservation")

    op.drop_table("held_window")
    with op.batch_alter_table("reservation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_reservation_tenant_id"))

    op.drop_table("reservation")
    op.drop_table("recent_use")
    op.drop_table("price")
    op.drop_table("owner")
    with op.batch_alter_table("drain", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_drain_node"))

    op.drop_table("drain")
    op.drop_table("day_use")
