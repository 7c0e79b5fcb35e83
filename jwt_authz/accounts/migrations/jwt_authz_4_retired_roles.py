"""Create the table of the names of removed roles, including those in the trail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from jwt_authz.accounts.sqlalchemy.names import ExactName

revision = "jwt_authz_4"
down_revision = "jwt_authz_3"
branch_labels = None
depends_on = None

_NAME = "authz_roles_retired"


def upgrade() -> None:
    op.create_table(
        _NAME,
        sa.Column("name", ExactName(255), nullable=False),
        sa.PrimaryKeyConstraint("name", name=f"pk_{_NAME}"),
    )
    op.execute(
        "INSERT INTO authz_roles_retired (name) SELECT DISTINCT role FROM authz_changes "
        "WHERE action = 'remove role' AND role NOT IN (SELECT name FROM authz_roles)"
    )


def downgrade() -> None:
    op.drop_table(_NAME)
