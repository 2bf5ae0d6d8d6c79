"""Which failed jobs were refused what they asked, and are no fault of the program."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; of jobs that failed before, none is known to have been refused."""
    op.add_column("job", sa.Column("refused", sa.Boolean(), nullable=False, server_default=sa.false()))
