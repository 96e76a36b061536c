"""${message}

Servers of the version before run while this is done and after: add only what they may leave out (a column that may be
NULL, or has a server_default), and say so with keep_serving. What they still use goes a version later.
"""

from alembic import op
import sqlalchemy as sa
${imports if imports else ""}
from central.migrations import keep_serving

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
    keep_serving(op.get_bind(), ${repr(down_revision)})


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
