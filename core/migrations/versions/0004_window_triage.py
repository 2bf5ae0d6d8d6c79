"""What triage says of each window, since when a process beats, and whether rows are seen to hang together."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import core.database

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "window_triage",
        sa.Column("window_id", sa.Integer(), nullable=False),
        sa.Column("figures_at", core.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("troubles", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("cause", TEXT(length=32), nullable=False),
        sa.Column("findings", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("made_at", core.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["window_id"], ["window.id"]),
        sa.PrimaryKeyConstraint("window_id"),
    )
    op.create_table(
        "counted_source",
        sa.Column("monitor_id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("source", TEXT(length=32), nullable=False),
        sa.Column("bucket", TEXT(length=8), nullable=False),
        sa.Column("slices", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("read_at", core.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["monitor_id"], ["monitor.id"]),
        sa.ForeignKeyConstraint(["version_id"], ["model_version.id"]),
        sa.PrimaryKeyConstraint("monitor_id", "version_id", "source"),
    )
    op.add_column("process", sa.Column("beating_since", core.database.UtcDateTime(timezone=True), nullable=True))
    with op.batch_alter_table("monitor") as batch:
        batch.add_column(sa.Column("dependent_rows", sa.Boolean(), nullable=False, server_default=sa.true()))
    # No release wrote anything else than {} into it.
    with op.batch_alter_table("incident_action") as batch:
        batch.drop_column("link")
