"""What triage and alerts say of each window, since when a process beats, whether rows are seen to hang together."""

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
    op.create_table(
        "window_verdict",
        sa.Column("window_id", sa.Integer(), nullable=False),
        sa.Column("kind", TEXT(length=32), nullable=False),
        sa.Column("severity", TEXT(length=16), nullable=False),
        sa.Column("sentence", TEXT(), nullable=False),
        sa.ForeignKeyConstraint(["window_id"], ["window.id"]),
        sa.PrimaryKeyConstraint("window_id", "kind"),
    )
    # What windows said that were computed before: those quiet in every way, and those that alerts began and end with.
    op.execute(
        "INSERT INTO window_verdict (window_id, kind, severity, sentence) "
        "SELECT id, 'drift', '', '' FROM \"window\" WHERE state = 'quiet' UNION ALL "
        "SELECT id, 'prediction_drift', '', '' FROM \"window\" WHERE state = 'quiet'"
    )
    op.execute(
        "INSERT INTO window_verdict (window_id, kind, severity, sentence) "
        "SELECT alert.window_id, alert.kind, alert.severity, alert.sentence "
        'FROM alert JOIN "window" ON "window".id = alert.window_id '
        "WHERE alert.state <> 'resolved' AND alert.since = \"window\".label AND \"window\".state <> 'quiet'"
    )
    # No release wrote anything else than {} into it.
    with op.batch_alter_table("incident_action") as batch:
        batch.drop_column("link")
