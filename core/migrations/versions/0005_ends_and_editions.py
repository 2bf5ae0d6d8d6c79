"""When an alert ended, by which edition of the rules a window was triaged, and what died or was left out.

The processes whose place another took, and how many rows a counted source lacks.
"""

import sqlalchemy as sa
from alembic import op

import core.database

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.add_column("alert", sa.Column("resolved_at", core.database.UtcDateTime(timezone=True), nullable=True))
    _end_as_audited()
    # What was kept before rules had editions is worked out anew.
    op.add_column("window_triage", sa.Column("edition", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("process", sa.Column("died", sa.JSON(none_as_null=True), nullable=False, server_default="[]"))
    op.add_column("counted_source", sa.Column("n_short", sa.Integer(), nullable=False, server_default="0"))


def _end_as_audited() -> None:
    """Take the end of alerts that are over from the audit log: the last time each was resolved."""
    moment = core.database.UtcDateTime()
    event = sa.table("audit_event", sa.column("number"), sa.column("at", moment), sa.column("action"),
                     sa.column("details", sa.JSON()))  # fmt: skip
    alert = sa.table("alert", sa.column("id"), sa.column("state"), sa.column("resolved_at", moment))
    connection = op.get_bind()
    told = sa.select(event.c.at, event.c.details).where(event.c.action == "alert.resolved").order_by(event.c.number)
    ends = {details["alert_id"]: at for at, details in connection.execute(told) if "alert_id" in details}
    for alert_id, at in ends.items():
        over = sa.and_(alert.c.id == alert_id, alert.c.state == "resolved")
        connection.execute(sa.update(alert).where(over).values(resolved_at=at))
