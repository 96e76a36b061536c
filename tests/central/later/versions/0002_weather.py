"""Every table gets a column that a server of the version before does not know."""

import sqlalchemy as sa
from alembic import op

from central.migrations import keep_serving

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    bind = op.get_bind()
    for name in sorted(sa.inspect(bind).get_table_names()):
        if name != "alembic_version":
            op.add_column(name, sa.Column("weather", sa.Text, nullable=False, server_default="fair"))
    op.create_table("forecast", sa.Column("day", sa.Text, primary_key=True))
    keep_serving(bind, "0001")
