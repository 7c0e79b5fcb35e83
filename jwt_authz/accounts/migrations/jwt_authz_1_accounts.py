"""Create the tables of `jwt_authz.accounts.models`: users, roles, permissions and join tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from jwt_authz.accounts.sqlalchemy.names import ExactName

revision = "jwt_authz_1"
down_revision = None
branch_labels = ("jwt_authz",)  # separate from the application's branch: `upgrade heads` runs both
depends_on = None

_TEXT = ExactName(255)


def upgrade() -> None:
    op.create_table(
        "authz_permissions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_authz_permissions"),
        sa.UniqueConstraint("name", name="uq_authz_permissions_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "authz_roles",
        sa.Column("level", sa.Integer, nullable=True),
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_authz_roles"),
        sa.UniqueConstraint("name", name="uq_authz_roles_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "authz_users",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("username", _TEXT, nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=True),
        sa.Column("tenant", _TEXT, nullable=True),
        sa.Column("disabled", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_authz_users"),
        sa.UniqueConstraint("subject", name="uq_authz_users_subject"),
        sa.UniqueConstraint("username", name="uq_authz_users_username"),
        sqlite_autoincrement=True,
    )
    _join("authz_roles_permissions", "role_id", "permission_id", "authz_permissions")
    _join("authz_roles_includes", "role_id", "included_id", "authz_roles")
    _join("authz_users_roles", "user_id", "role_id", "authz_roles")


def downgrade() -> None:
    for table in ("authz_users_roles", "authz_roles_includes", "authz_roles_permissions"):
        op.drop_table(table)
    for table in ("authz_users", "authz_roles", "authz_permissions"):
        op.drop_table(table)


def _join(name: str, first: str, second: str, joined: str) -> None:
    """Create the join table `name` with the columns `first` and `second`."""
    owner = "authz_users" if first == "user_id" else "authz_roles"
    op.create_table(
        name,
        sa.Column(first, sa.Integer, nullable=False),
        sa.Column(second, sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint(first, second, name=f"pk_{name}"),
        sa.ForeignKeyConstraint(
            [first], [f"{owner}.id"], name=f"fk_{name}_{first}", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            [second], [f"{joined}.id"], name=f"fk_{name}_{second}", ondelete="CASCADE"
        ),
    )
    op.create_index(f"ix_{name}_{second}", name, [second])
