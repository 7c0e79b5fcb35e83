"""Create the table of roles that users have in other tenants than their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from jwt_authz.accounts.sqlalchemy.names import ExactName

revision = "jwt_authz_3"
down_revision = "jwt_authz_2"
branch_labels = None
depends_on = None

_NAME = "authz_users_roles_in_tenants"


def upgrade() -> None:
    op.create_table(
        _NAME,
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("tenant", ExactName(255), nullable=False),
        sa.Column("role_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "tenant", "role_id", name=f"pk_{_NAME}"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["authz_users.id"], name=f"fk_{_NAME}_user_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["role_id"], ["authz_roles.id"], name=f"fk_{_NAME}_role_id", ondelete="CASCADE"
        ),
    )
    op.create_index(f"ix_{_NAME}_role_id", _NAME, ["role_id"])


def downgrade() -> None:
    op.drop_table(_NAME)
