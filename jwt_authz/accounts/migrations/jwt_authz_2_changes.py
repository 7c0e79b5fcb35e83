"""Create the table of `jwt_authz.accounts.models.Change`: the trail of administrators' changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from jwt_authz.accounts.sqlalchemy.names import ExactName

revision = "jwt_authz_2"
down_revision = "jwt_authz_1"
branch_labels = None
depends_on = None

_TEXT = ExactName(255)
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite auto-increments only INTEGER
_INDEXED = ("actor", "role", "subject", "tenant")


def upgrade() -> None:
    op.create_table(
        "authz_changes",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", _TEXT, nullable=False),
        sa.Column("actor_issuer", sa.Text, nullable=True),
        sa.Column("actor_name", _TEXT, nullable=False),
        sa.Column("action", sa.String(255), nullable=False),
        sa.Column("subject", _TEXT, nullable=True),
        sa.Column("username", _TEXT, nullable=True),
        sa.Column("tenant", _TEXT, nullable=True),
        sa.Column("role", _TEXT, nullable=True),
        sa.Column("before", sa.Text, nullable=True),
        sa.Column("after", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_authz_changes"),
    )
    for column in _INDEXED:
        op.create_index(f"ix_authz_changes_{column}", "authz_changes", [column])


def downgrade() -> None:
    op.drop_table("authz_changes")
