"""Monitoring: sketches, calibrated thresholds, alert rules, incidents, samples of health."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import core.database

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# SQLite keeps no names for the first schema's constraints; batch mode gives them these while it rebuilds a table.
NAMES = {"uq": "uq_%(table_name)s_%(column_0_N_name)s"}
TEXT = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """Bring the schema forward."""
    _add_tables()
    _widen_monitor()
    with op.batch_alter_table("prediction_segment") as batch:
        batch.add_column(sa.Column("hours", sa.JSON(none_as_null=True), nullable=False, server_default="{}"))
    with op.batch_alter_table("alert") as batch:
        batch.add_column(sa.Column("incident_id", sa.Integer(), nullable=True))
        batch.alter_column("monitor_id", existing_type=sa.Integer(), nullable=True)
        batch.alter_column("window_id", existing_type=sa.Integer(), nullable=True)
        batch.create_foreign_key("fk_alert_incident_id", "incident", ["incident_id"], ["id"])
        batch.create_index("ix_alert_incident_id", ["incident_id"])
    with op.batch_alter_table("batch") as batch:
        batch.add_column(sa.Column("dataset_version_id", sa.Integer(), nullable=True))
        batch.alter_column("upload_id", existing_type=sa.Integer(), nullable=True)
        batch.create_foreign_key("fk_batch_dataset_version_id", "dataset_version", ["dataset_version_id"], ["id"])
    with op.batch_alter_table("drift_result", recreate="always") as batch:
        # Before the documents: what lists read must not lie behind pages of stored histograms.
        for column, before in (
            (sa.Column("slice", TEXT(length=200), nullable=False, server_default=""), "feature"),
            (sa.Column("exceeded", sa.Boolean(), nullable=False, server_default=sa.false()), "state"),
            (sa.Column("effect_before", sa.Float(), nullable=True), "bins"),
            (sa.Column("pvalue_before", sa.Float(), nullable=True), "bins"),
            (sa.Column("state_before", TEXT(length=16), nullable=False, server_default=""), "bins"),
            (sa.Column("tests", sa.JSON(none_as_null=True), nullable=False, server_default="[]"), "bins"),
        ):
            batch.add_column(column, insert_before=before)
    op.drop_index("ix_drift_result_window", "drift_result")
    square = ("window_id", "slice", "feature", "is_prediction", "effect", "threshold", "state")
    op.create_index("ix_drift_result_square", "drift_result", [*square, "effect_before", "state_before"])
    op.execute("UPDATE drift_result SET exceeded = (state = 'drifted')")
    _widen_window()
    _widen_performance()
    with op.batch_alter_table("label") as batch:
        batch.add_column(sa.Column("first_at", core.database.UtcDateTime(timezone=True), nullable=True))
        # Those without a prediction were reported when they came.
        batch.add_column(sa.Column("known", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.execute("UPDATE label SET first_at = received_at")
    op.create_index("ix_label_known", "label", ["model_id", "known"])


def _widen_window() -> None:
    found = sa.inspect(op.get_bind()).get_unique_constraints("window")
    name = next(one["name"] for one in found if one["column_names"] == ["monitor_id", "version_id", "label"])
    with op.batch_alter_table("window", recreate="always", naming_convention=NAMES) as batch:
        for column, before in (
            (sa.Column("length", TEXT(length=16), nullable=False, server_default="month"), "label"),
            (sa.Column("season", TEXT(length=32), nullable=False, server_default=""), "from_at"),
        ):
            batch.add_column(column, insert_before=before)
        batch.drop_constraint(name or "uq_window_monitor_id_version_id_label", type_="unique")
        batch.create_unique_constraint("uq_window_label", ["monitor_id", "version_id", "length", "label"])
    # What a window was cut by was told by its label: "batch 7", "2026-06-05", "2026-W23", "2026-06".
    op.execute(
        "UPDATE \"window\" SET length = CASE WHEN label LIKE 'batch %' THEN 'batch' "
        "WHEN length(label) = 10 THEN 'day' WHEN length(label) = 8 THEN 'week' ELSE 'month' END"
    )


def _widen_monitor() -> None:
    with op.batch_alter_table("monitor") as batch:
        for column in (
            sa.Column("window_rows", sa.Integer(), nullable=True),
            sa.Column("false_alerts", sa.Float(), nullable=False, server_default="0.1"),
            sa.Column("windows_needed", sa.Integer(), nullable=False, server_default="1"),
            sa.Column("windows_of", sa.Integer(), nullable=False, server_default="1"),
            sa.Column("season", TEXT(length=16), nullable=False, server_default="none"),
            sa.Column("season_column", TEXT(), nullable=True),
            sa.Column("tests", sa.JSON(none_as_null=True), nullable=False, server_default="{}"),
            sa.Column("slice_columns", sa.JSON(none_as_null=True), nullable=False, server_default="[]"),
        ):
            batch.add_column(column)
    # The chance of a false alert was said per window; it is now said per month.
    op.execute(
        "UPDATE monitor SET false_alerts = alpha * CASE \"window\" WHEN 'day' THEN 30.4 WHEN 'week' THEN 4.35 ELSE 1 END"
    )
    with op.batch_alter_table("monitor") as batch:
        batch.drop_column("alpha")


def _widen_performance() -> None:
    found = sa.inspect(op.get_bind()).get_unique_constraints("performance_result")
    name = next(one["name"] for one in found if one["column_names"] == ["window_id", "key"])
    with op.batch_alter_table("performance_result", naming_convention=NAMES) as batch:
        for column in (
            sa.Column("slice", TEXT(length=200), nullable=False, server_default=""),
            sa.Column("source", TEXT(length=16), nullable=False, server_default="realised"),
            sa.Column("n_expected", sa.Integer(), nullable=True),
            sa.Column("note", TEXT(), nullable=False, server_default=""),
        ):
            batch.add_column(column)
        batch.drop_constraint(name or "uq_performance_result_window_id_key", type_="unique")
        batch.create_unique_constraint("uq_performance_result_key", ["window_id", "slice", "source", "key"])


def _add_tables() -> None:
    op.create_table(
        "reference_sketch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("slice", TEXT(length=200), nullable=False),
        sa.Column("feature", TEXT(), nullable=False),
        sa.Column("is_prediction", sa.Boolean(), nullable=False),
        sa.Column("column_kind", TEXT(length=16), nullable=False),
        sa.Column("anchor", sa.Float(), nullable=False),
        sa.Column("unit", sa.Float(), nullable=False),
        sa.Column("n_rows", sa.Integer(), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["model_version.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("version_id", "slice", "feature", "is_prediction"),
    )
    op.create_index("ix_reference_sketch_version_id", "reference_sketch", ["version_id"])

    op.create_table(
        "bucket_sketch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("monitor_id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("source", TEXT(length=32), nullable=False),
        sa.Column("bucket_at", core.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("bucket", TEXT(length=8), nullable=False),
        sa.Column("slice", TEXT(length=200), nullable=False),
        sa.Column("feature", TEXT(), nullable=False),
        sa.Column("is_prediction", sa.Boolean(), nullable=False),
        sa.Column("n_rows", sa.Integer(), nullable=False),
        sa.Column("read_at", core.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["monitor_id"], ["monitor.id"]),
        sa.ForeignKeyConstraint(["version_id"], ["model_version.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("monitor_id", "version_id", "source", "bucket_at", "slice", "feature", "is_prediction"),
    )
    op.create_index("ix_bucket_sketch_bucket_at", "bucket_sketch", ["bucket_at"])
    op.create_index("ix_bucket_sketch_monitor_id", "bucket_sketch", ["monitor_id"])

    op.create_table(
        "calibration",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("monitor_id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("settings_digest", TEXT(length=64), nullable=False),
        sa.Column("thresholds", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("computed_at", core.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["monitor_id"], ["monitor.id"]),
        sa.ForeignKeyConstraint(["version_id"], ["model_version.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("monitor_id", "version_id", "settings_digest"),
    )
    op.create_index("ix_calibration_monitor_id", "calibration", ["monitor_id"])

    op.create_table(
        "label_arrival",
        sa.Column("window_id", sa.Integer(), nullable=False),
        sa.Column("n_at_once", sa.Integer(), nullable=False),
        sa.Column("delays", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("pieces", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(["window_id"], ["window.id"]),
        sa.PrimaryKeyConstraint("window_id"),
    )
    op.create_table(
        "estimator",
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("fitted_at", core.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["model_version.id"]),
        sa.PrimaryKeyConstraint("version_id"),
    )

    op.create_table(
        "window_measure",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("window_id", sa.Integer(), nullable=False),
        sa.Column("kind", TEXT(length=32), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("low", sa.Float(), nullable=True),
        sa.Column("high", sa.Float(), nullable=True),
        sa.Column("threshold", sa.Float(), nullable=True),
        sa.Column("state", TEXT(length=16), nullable=False),
        sa.Column("sentence", TEXT(), nullable=False),
        sa.Column("details", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(["window_id"], ["window.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("window_id", "kind"),
    )
    op.create_index("ix_window_measure_window_id", "window_measure", ["window_id"])

    op.create_table(
        "alert_rule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("monitor_id", sa.Integer(), nullable=True),
        sa.Column("kind", TEXT(length=32), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("parameters", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("edited_by", sa.Integer(), nullable=True),
        sa.Column("edited_at", core.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["edited_by"], ["user_account.id"]),
        sa.ForeignKeyConstraint(["monitor_id"], ["monitor.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("monitor_id", "kind"),
    )
    op.create_index("ix_alert_rule_monitor_id", "alert_rule", ["monitor_id"])

    op.create_table(
        "incident",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("monitor_id", sa.Integer(), nullable=True),
        sa.Column("window_id", sa.Integer(), nullable=True),
        sa.Column("title", TEXT(), nullable=False),
        sa.Column("severity", TEXT(length=16), nullable=False),
        sa.Column("state", TEXT(length=16), nullable=False),
        sa.Column("cause", TEXT(length=32), nullable=False),
        sa.Column("findings", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("since_at", core.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("opened_at", core.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", core.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("outcome", TEXT(), nullable=False),
        sa.ForeignKeyConstraint(["monitor_id"], ["monitor.id"]),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"]),
        sa.ForeignKeyConstraint(["window_id"], ["window.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_incident_monitor_id", "incident", ["monitor_id"])
    op.create_index("ix_incident_state", "incident", ["state"])

    op.create_table(
        "incident_action",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.Integer(), nullable=False),
        sa.Column("kind", TEXT(length=32), nullable=False),
        sa.Column("note", TEXT(), nullable=False),
        sa.Column("link", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("at", core.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["user_account.id"]),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_incident_action_incident_id", "incident_action", ["incident_id"])

    op.create_table(
        "health_sample",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", core.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("process", TEXT(length=16), nullable=False),
        sa.Column("key", TEXT(length=32), nullable=False),
        sa.Column("subject", TEXT(length=64), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_health_sample_key_at", "health_sample", ["key", "at"])
