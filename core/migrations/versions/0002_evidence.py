"""Evidence: analyses of evaluations, behaviour suites, thresholds of versions, more of a run's record."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import core.database

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# SQLite keeps no names for the first schema's constraints; batch mode gives them these while it rebuilds a table.
NAMES = {"uq": "uq_%(table_name)s_%(column_0_N_name)s"}


def upgrade() -> None:
    """Bring the schema forward."""
    _add_tables()
    _widen_unique(
        "comparison",
        ["baseline_evaluation_id", "candidate_evaluation_id", "metric", "margin"],
        "n_candidates",
        [
            sa.Column("rows_needed", sa.Integer(), nullable=True),
            sa.Column("n_candidates", sa.Integer(), nullable=False, server_default="1"),
            sa.Column("tests", sa.JSON(none_as_null=True), nullable=False, server_default="[]"),
        ],
    )
    _widen_unique(
        "model_version",
        ["model_id", "run_id"],
        "threshold_key",
        [
            sa.Column("threshold", sa.JSON(none_as_null=True), nullable=True),
            sa.Column("threshold_key", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False, server_default=""),
        ],
    )
    op.add_column("dataset", sa.Column("costs", sa.JSON(none_as_null=True), nullable=True))
    for column in (
        sa.Column("weight_column", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("calibration", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=True),
        sa.Column("folds", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("cross_validation", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("latency", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("validation_sha256", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
    ):
        op.add_column("run", column)
    with op.batch_alter_table("run", naming_convention=NAMES) as batch:
        batch.add_column(sa.Column("recalibrated_from_id", sa.Integer(), nullable=True))
        batch.create_foreign_key("fk_run_recalibrated_from_id", "run", ["recalibrated_from_id"], ["id"])


def _add_tables() -> None:
    op.create_table(
        "analysis",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("options", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("options_digest", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", core.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["evaluation_id"], ["evaluation.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("evaluation_id", "kind", "options_digest"),
    )
    op.create_table(
        "behaviour_suite",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tests", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("created_at", core.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["user_account.id"]),
        sa.ForeignKeyConstraint(["model_id"], ["registered_model.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("model_id", "number"),
    )
    op.create_table(
        "behaviour_result",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("suite_id", sa.Integer(), nullable=False),
        sa.Column("outcomes", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("n_failed", sa.Integer(), nullable=False),
        sa.Column("n_rows", sa.Integer(), nullable=False),
        sa.Column("created_at", core.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["suite_id"], ["behaviour_suite.id"]),
        sa.ForeignKeyConstraint(["version_id"], ["model_version.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("version_id", "suite_id"),
    )
    for table, column in (
        ("analysis", "evaluation_id"),
        ("behaviour_suite", "model_id"),
        ("behaviour_result", "version_id"),
    ):
        op.create_index(f"ix_{table}_{column}", table, [column])


def _widen_unique(table: str, columns: list[str], added: str, new_columns: list[sa.Column]) -> None:
    """Add columns to a table, one of them to the unique constraint over ``columns``."""
    found = sa.inspect(op.get_bind()).get_unique_constraints(table)
    name = next(one["name"] for one in found if one["column_names"] == columns)
    with op.batch_alter_table(table, naming_convention=NAMES) as batch:
        for column in new_columns:
            batch.add_column(column)
        batch.drop_constraint(name or f"uq_{table}_{'_'.join(columns)}", type_="unique")
        batch.create_unique_constraint(f"uq_{table}_{added}", [*columns, added])
