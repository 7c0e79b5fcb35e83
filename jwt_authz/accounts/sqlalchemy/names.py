"""ExactName: the type of columns with names, which compare by code point in every database."""

from __future__ import annotations

from ..._extras import needs_extra

with needs_extra(__name__, "SQLAlchemy 2", "accounts,sqlalchemy"):
    from sqlalchemy import Dialect, String, TypeDecorator
    from sqlalchemy.dialects.mysql import VARCHAR
    from sqlalchemy.types import TypeEngine


class ExactName(TypeDecorator[str]):
    """A `String` in which case, accents and trailing blanks count, also on MySQL and MariaDB.

    Their default collations ignore all three, and so would take the role `Clerk` for `clerk`.
    """

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        length: int = self.impl_instance.length  # type: ignore[attr-defined]
        if dialect.name not in ("mysql", "mariadb"):
            return dialect.type_descriptor(String(length))
        is_mariadb = dialect.name == "mariadb" or getattr(dialect, "is_mariadb", False)
        collation = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        return dialect.type_descriptor(VARCHAR(length, charset="utf8mb4", collation=collation))
