"""The migrations that an application adopts: they make the ready-made models' tables, exactly."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from jwt_authz.accounts.models import metadata
from tests.kinds import NEW_DATABASES

pytestmark = pytest.mark.versions

OURS = "jwt_authz.accounts:migrations"
ENV = """
from alembic import context
import sqlalchemy as sa

engine = sa.create_engine(context.config.attributes["url"])
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
"""
OF_THE_APPLICATION = '''
"""A table of the application's own, which refers to the users."""
import sqlalchemy as sa
from alembic import op

revision = "shop_1"
down_revision = None
branch_labels = None
depends_on = "jwt_authz_1"


def upgrade():
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("buyer", sa.Integer, sa.ForeignKey("authz_users.id")),
    )


def downgrade():
    op.drop_table("orders")
'''
TABLES = set(metadata.tables)


@pytest.fixture(params=["sqlite", *NEW_DATABASES])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'app.db'}"
    made: str = request.getfixturevalue(NEW_DATABASES[request.param])()
    return made


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    made = sa.create_engine(url)
    yield made
    made.dispose()


def configured(folder: Path, url: str, versions: str = "") -> Config:
    """The configuration of an application that uses alembic alone, in a folder of its own."""
    (folder / "alembic").mkdir(exist_ok=True)
    (folder / "alembic" / "env.py").write_text(ENV)
    file = folder / "alembic.ini"
    file.write_text(
        f"[alembic]\nscript_location = %(here)s/alembic\npath_separator = space\n"
        f"version_locations = {versions} {OURS}\n"
    )
    made = Config(file)
    made.attributes["url"] = url
    return made


def tables(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names())


def differences(engine: sa.Engine) -> list[Any]:
    """What alembic would change so that the database had the models' tables."""
    # Alembic takes the default `false` for another one than MariaDB's `0`.
    options = {"compare_type": True, "compare_server_default": engine.dialect.name != "mysql"}
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        found: list[Any] = compare_metadata(context, metadata)
    return found


def test_an_upgrade_makes_exactly_the_tables_of_the_models(
    tmp_path: Path, url: str, engine: sa.Engine
) -> None:
    command.upgrade(configured(tmp_path, url), "head")
    assert tables(engine) == TABLES | {"alembic_version"}
    assert differences(engine) == []


def test_the_comparison_notices_a_column_and_an_index_that_are_missing(
    tmp_path: Path, url: str, engine: sa.Engine
) -> None:
    """The negative control."""
    command.upgrade(configured(tmp_path, url), "head")
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE authz_users DROP COLUMN tenant"))
        next(iter(metadata.tables["authz_changes"].indexes)).drop(connection)
    assert {found[0] for found in differences(engine)} == {"add_column", "add_index"}


def test_sqlite_has_the_very_tables_that_create_all_makes(tmp_path: Path) -> None:
    """What alembic does not compare: names of constraints, cascades, ids that never come twice."""

    def statements(engine: sa.Engine) -> set[str]:
        query = sa.text("SELECT sql FROM sqlite_master WHERE name LIKE '%authz%' AND sql NOT NULL")
        with engine.connect() as connection:
            found = {" ".join(text.split()) for text in connection.scalars(query)}
        engine.dispose()
        return found

    migrated = sa.create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    command.upgrade(configured(tmp_path, str(migrated.url)), "head")
    made = sa.create_engine(f"sqlite:///{tmp_path / 'made.db'}")
    metadata.create_all(made)
    wanted = statements(made)
    assert len(wanted) == 17
    assert statements(migrated) == wanted


def test_mariadb_has_the_very_tables_that_create_all_makes(
    tmp_path: Path, new_mariadb: Callable[[], str]
) -> None:
    def lines(engine: sa.Engine) -> dict[str, list[str]]:
        """The lines of what makes each table; the order of its indexes does not matter."""
        with engine.connect() as connection:
            found = {
                name: connection.exec_driver_sql(f"SHOW CREATE TABLE {name}").one()[1]
                for name in TABLES
            }
        engine.dispose()
        return {
            name: sorted(line.strip(" ,") for line in statement.splitlines())
            for name, statement in found.items()
        }

    migrated, made = new_mariadb(), sa.create_engine(new_mariadb())
    command.upgrade(configured(tmp_path, migrated), "head")
    metadata.create_all(made)
    assert lines(sa.create_engine(migrated)) == lines(made)


def test_a_downgrade_leaves_nothing_behind(tmp_path: Path, url: str, engine: sa.Engine) -> None:
    config = configured(tmp_path, url)
    command.upgrade(config, "head")
    command.downgrade(config, "jwt_authz@base")
    assert tables(engine) == {"alembic_version"}
    command.upgrade(config, "head")
    assert differences(engine) == []


def test_an_application_keeps_a_branch_of_its_own_that_may_depend_on_it(
    tmp_path: Path, url: str, engine: sa.Engine
) -> None:
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "shop_1.py").write_text(OF_THE_APPLICATION)
    config = configured(tmp_path, url, "%(here)s/versions")
    command.upgrade(config, "heads")
    assert tables(engine) == TABLES | {"alembic_version", "orders"}
    command.downgrade(config, "shop_1@base")
    assert "orders" not in tables(engine)


APPLICATION = """
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from jwt_authz.accounts.models import metadata
from tests.kinds import NEW_DATABASES

db = SQLAlchemy()


class Order(db.Model):
    id = db.Column(db.Integer, primary_key=True)


def create_app(url):
    app = Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db.init_app(app)
    Migrate(app, db)
    return app
"""


# Flask-Migrate's own env.py tries the older name first.
@pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning")
def test_flask_migrate_upgrades_an_application_that_names_the_branch(
    tmp_path: Path, url: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its env.py would silence all loggers that there are, those of other tests as well.
    monkeypatch.setattr("logging.config.fileConfig", lambda *given, **options: None)
    names: dict[str, Any] = {}
    exec(textwrap.dedent(APPLICATION), names)
    app, folder = names["create_app"](url), str(tmp_path / "migrations")
    runner = app.test_cli_runner()

    def run(*arguments: str) -> None:
        result = runner.invoke(args=["db", *arguments, "-d", folder])
        assert result.exit_code == 0, (result.output, result.exception)

    run("init")
    file = Path(folder) / "alembic.ini"
    locations = f"version_locations = %(here)s/versions {OURS}\npath_separator = space\n"
    file.write_text(file.read_text().replace("[alembic]\n", f"[alembic]\n{locations}", 1))
    run("upgrade", "heads")
    assert differences(engine) == []
    run("revision", "-m", "orders", "--head", "base", "--version-path", f"{folder}/versions")
    run("upgrade", "heads")
    with engine.connect() as connection:
        heads = set(connection.scalars(sa.text("SELECT version_num FROM alembic_version")))
    assert "jwt_authz_4" in heads
    assert len(heads) == 2
    run("downgrade", "jwt_authz@base")
    assert TABLES & tables(engine) == set()
    with app.app_context():
        names["db"].engine.dispose()
