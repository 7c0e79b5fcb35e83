"""`authz.filter`: the criterion of a caller, its SQL, and what cannot be one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import ColumnElement, ForeignKey, String, create_engine, event, select, text
from sqlalchemy.dialects import oracle, postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column, relationship
from sqlalchemy.pool import StaticPool
from werkzeug.exceptions import ServiceUnavailable

from jwt_authz import Authz, Identity, MisuseError, allowed, attr, has_claim, has_role, requires
from jwt_authz.application import KEY
from jwt_authz.conditions import claim, subject, tenant
from jwt_authz.conditions.sql import plan as plans
from jwt_authz.guards.overrides import Additional, Override, additions, overrides
from tests.edge import bare_app, catalog, get, guarded_app, token_for

ROOT = Path(__file__).parents[2]


class Base(DeclarativeBase):
    pass


class Owned:
    owner: Mapped[str | None]


class Folder(Owned, Base):
    __tablename__ = "folders"

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("folders.id"))
    parent: Mapped[Folder | None] = relationship(remote_side=[id])


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str | None]
    kind: Mapped[str]
    status: Mapped[str | None] = mapped_column(String(20))
    number: Mapped[int | None]
    label: Mapped[str | None] = mapped_column(String(collation="NOCASE"))
    folder_id: Mapped[int | None] = mapped_column(ForeignKey(Folder.id))
    folder: Mapped[Folder | None] = relationship()
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "note"}  # noqa: RUF012


class Memo(Note):
    __tablename__ = "memos"

    id: Mapped[int] = mapped_column(ForeignKey(Note.id), primary_key=True)
    urgent: Mapped[bool | None]
    __mapper_args__ = {"polymorphic_identity": "memo"}  # noqa: RUF012


class Legacy(Base):
    __tablename__ = "legacy"

    id: Mapped[int] = mapped_column(primary_key=True)
    is_hidden: Mapped[bool | None]


pytestmark = [pytest.mark.versions, pytest.mark.usefixtures("nothing_is_pushed")]

OWN = attr("owner") == subject
READ = OWN | (attr("status") == "published") | has_role("admin")


@pytest.fixture
def authz() -> Authz:
    return Authz(roles=catalog())


@pytest.fixture
def app(authz: Authz) -> Iterator[Flask]:
    app = bare_app()
    authz.init_app(app)
    with app.app_context():
        yield app


@pytest.fixture
def session() -> Iterator[Session]:
    shared = {"connect_args": {"check_same_thread": False}, "poolclass": StaticPool}
    engine = create_engine("sqlite://", **shared)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(
            [
                Folder(id=1, owner="ada"),
                Folder(id=2, owner=None, parent_id=1),
                Note(id=1, owner="ada", status="draft", folder_id=1, label="Red"),
                Note(id=2, owner="bob", status="published", folder_id=2, label="red"),
                Note(id=3, owner="bob", status="draft", number=1),
                Note(id=4, owner=None, status=None, number=2),
                Memo(id=5, owner="ada", status=None, urgent=True),
                Memo(id=6, owner="bob", status="draft", urgent=False),
            ]
        )
        session.commit()
        yield session
    engine.dispose()


def who(name: str = "ada", *roles: str, **claims: Any) -> Identity:
    return Identity(name, roles=roles, catalogue=catalog(), claims=claims)


def ids(session: Session, criterion: ColumnElement[bool], entity: Any = Note) -> list[int]:
    return list(session.scalars(select(entity.id).where(criterion).order_by(entity.id)))


def text_of(criterion: Any) -> str:
    return str(select(Note.id).where(criterion).compile(dialect=postgresql.dialect()))


@pytest.mark.usefixtures("app")
def test_one_rule_serves_the_filter_and_the_item_check(authz: Authz, session: Session) -> None:
    authz.rule("note:read", Note, READ)
    for identity in (who("ada"), who("bob"), who("eve"), who("eve", "admin")):
        found = ids(session, authz.filter("note:read", Note, identity=identity))
        notes = session.scalars(select(Note).order_by(Note.id))
        assert found == [n.id for n in notes if allowed("note:read", on=n, identity=identity)]
    assert ids(session, authz.filter("note:read", Note, identity=who("ada"))) == [1, 2, 5]


@pytest.mark.usefixtures("app")
def test_a_requirement_that_is_not_a_rule_is_a_filter_too(authz: Authz, session: Session) -> None:
    assert ids(session, authz.filter(OWN, Note, identity=who("bob"))) == [2, 3, 6]
    assert ids(session, authz.filter(~OWN, Note, identity=who("bob"))) == [1, 5]


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("values", [[], claim("none")])
def test_null_in_an_empty_list_is_unknown_to_the_filter_as_to_the_item_check(
    authz: Authz, session: Session, values: Any
) -> None:
    rule, ada = attr("status").in_(values), who(none=[])
    found = ids(session, authz.filter(~rule, Note, identity=ada))
    notes = session.scalars(select(Note).order_by(Note.id))
    assert found == [n.id for n in notes if allowed(~rule, on=n, identity=ada)] == [1, 2, 3, 6]
    assert ids(session, authz.filter(rule, Note, identity=ada)) == []


@pytest.mark.usefixtures("app")
def test_in_a_requirement_rules_stand_in_for_permissions(authz: Authz, session: Session) -> None:
    authz.rule("article:read", Note, OWN)
    asked = "article:read" & (attr("status") == "draft")
    assert ids(session, authz.filter(asked, Note, identity=who("bob", "viewer"))) == [3, 6]


def test_the_filter_is_of_anyone_who_calls(authz: Authz, app: Flask, session: Session) -> None:
    authz.rule("note:read", Note, READ)

    @app.get("/notes")
    @requires(optional=True)
    def notes() -> Any:
        return {"ids": ids(session, authz.filter("note:read", Note))}

    client = app.test_client()
    assert get(client, "/notes", token_for(app, "ada")).get_json() == {"ids": [1, 2, 5]}
    assert get(client, "/notes", token_for(app, "x", "admin")).get_json() == {"ids": [*range(1, 7)]}
    assert get(client, "/notes").get_json() == {"ids": []}


def test_an_async_view_filters_alike(authz: Authz, app: Flask, session: Session) -> None:
    @app.get("/notes")
    @requires()
    async def notes() -> Any:
        note = session.get(Note, 1)
        criterion = authz.filter(OWN, Note)
        return {"ids": ids(session, criterion), "first": allowed(OWN, on=note)}

    answer = get(app.test_client(), "/notes", token_for(app, "ada"))
    assert answer.get_json() == {"ids": [1, 5], "first": True}


def test_nobody_and_a_bad_token_get_no_row(authz: Authz, app: Flask) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        with app.test_request_context(headers=headers):
            assert "false" in text_of(authz.filter(~has_role("admin"), Note))
    assert "false" in text_of(authz.filter(~has_role("admin"), Note, identity=None))


@pytest.mark.slow
@pytest.mark.usefixtures("nobody_waits_for_a_first_load")
def test_where_the_revocations_are_not_known_the_filter_raises_the_503() -> None:
    token = token_for(guarded_app(), "bob", "viewer")
    app = guarded_app(AUTHZ_STORE_URL="redis://127.0.0.1:1/0")
    with (
        app.test_request_context(headers={"Authorization": f"Bearer {token}"}),
        pytest.raises(ServiceUnavailable),
    ):
        app.extensions["jwt_authz"].filter(OWN, Note)
    app.extensions[KEY].revocations.stop()
    app.extensions[KEY].revocations.store.close()


@pytest.mark.usefixtures("app")
def test_anyone_who_may_all_is_asked_nothing_and_anyone_who_may_nothing_gets_nothing(
    authz: Authz,
) -> None:
    authz.rule("note:read", Note, READ)
    everything = text_of(authz.filter("note:read", Note, identity=who("eve", "admin")))
    assert everything.endswith("WHERE true")
    nothing = text_of(authz.filter(OWN & has_role("admin"), Note, identity=who()))
    assert nothing.endswith("WHERE false")


@pytest.mark.usefixtures("app")
def test_what_the_identity_settles_leaves_nothing_in_the_sql(authz: Authz) -> None:
    asked = OWN & ~has_role("admin") | (tenant == "acme") & (attr("status") == "draft")
    text = text_of(authz.filter(asked, Note, identity=who("ada")))
    where = text.partition("WHERE ")[2].removesuffix("::VARCHAR")
    assert where == "notes.owner = %(param_1)s"


@pytest.mark.usefixtures("app")
def test_a_not_is_carried_to_the_column_so_that_an_index_serves(authz: Authz) -> None:
    asked = ~((attr("status") == "draft") | (attr("number") < 5) | attr("owner").is_(None))
    text = text_of(authz.filter(asked, Note, identity=who("ada")))
    assert "notes.status != " in text
    assert "notes.number >= " in text
    assert "notes.owner IS NOT NULL" in text
    assert "coalesce" not in text.lower()


@pytest.mark.usefixtures("app")
def test_values_of_an_identity_are_bound_and_stand_in_no_sql(authz: Authz) -> None:
    asked = OWN | attr("status").in_(claim("states")) | (attr("number") == claim("n"))
    secret = who("hush-subject", states=["hush-a", "hush-b"], n=987654)
    text = text_of(authz.filter(asked, Note, identity=secret))
    assert "hush" not in text
    assert "987654" not in text


@pytest.mark.usefixtures("app")
def test_the_statement_is_compiled_once_for_all_identities(authz: Authz, session: Session) -> None:
    rule = READ | (attr("folder.owner") == tenant) | attr("status").in_(claim("states"))
    authz.rule("note:read", Note, rule)
    keys = set()
    for name, states in (("ada", ["a"]), ("bob", ["a", "b"]), ("eve", ["c"])):
        identity = Identity(name, tenant=name, claims={"states": states}, catalogue=catalog())
        statement = select(Note.id).where(authz.filter("note:read", Note, identity=identity))
        keys.add(statement._generate_cache_key().key)  # type: ignore[union-attr]
    assert len(keys) == 1


@pytest.mark.usefixtures("app")
def test_a_rule_is_read_once_for_a_model(authz: Authz, monkeypatch: pytest.MonkeyPatch) -> None:
    authz.rule("note:read", Note, READ)
    read: list[Any] = []
    leaf = plans.read_leaf
    monkeypatch.setattr(plans, "read_leaf", lambda *each: read.append(each) or leaf(*each))
    for name in ("ada", "bob", "eve"):
        authz.filter("note:read", Note, identity=who(name))
        authz.filter("note:read", aliased(Note), identity=who(name))
    assert len(read) == 3  # conditions and roles of READ


@pytest.mark.usefixtures("app")
def test_an_alias_is_filtered_as_itself(authz: Authz, session: Session) -> None:
    authz.rule("note:read", Note, OWN | (attr("folder.owner") == subject))
    other = aliased(Note)
    criterion = authz.filter("note:read", other, identity=who("ada"))
    assert ids(session, criterion, other) == [1, 5]
    asked = select(Note.id, other.id).join(other, Note.id == other.id - 1).where(criterion)
    assert [tuple(row) for row in session.execute(asked)] == [(4, 5)]


@pytest.mark.usefixtures("app")
def test_a_relation_that_is_not_there_is_not_known_also_under_not(
    authz: Authz, session: Session
) -> None:
    of_folder = attr("folder.owner") == subject
    assert ids(session, authz.filter(of_folder, Note, identity=who("ada"))) == [1]
    assert ids(session, authz.filter(~of_folder, Note, identity=who("ada"))) == []
    assert ids(session, authz.filter(~of_folder, Note, identity=who("bob"))) == [1]
    of_parent = attr("folder.parent.owner") == subject
    assert ids(session, authz.filter(of_parent, Note, identity=who("ada"))) == [2]
    no_folder = attr("folder.id").is_(None)
    assert ids(session, authz.filter(no_folder, Note, identity=who("ada"))) == [3, 4, 5, 6]


@pytest.mark.usefixtures("app")
def test_a_model_that_inherits_is_filtered_by_its_own_columns_and_its_parents(
    authz: Authz, session: Session
) -> None:
    authz.rule("note:read", Note, OWN)
    memo = authz.filter("note:read", Memo, identity=who("ada"))
    assert [m.id for m in session.scalars(select(Memo).where(memo))] == [5]
    urgent = authz.filter(~(attr("urgent") == True), Memo, identity=who("ada"))  # noqa: E712
    assert [m.id for m in session.scalars(select(Memo).where(urgent))] == [6]


@pytest.mark.usefixtures("app")
def test_a_model_some_of_whose_rows_have_a_rule_of_their_own_is_not_filtered(
    authz: Authz,
) -> None:
    authz.rule("note:read", Note, OWN)
    authz.rule("note:read", Memo, has_role("admin"))
    with pytest.raises(MisuseError, match="Memo has its own rule"):
        authz.filter("note:read", Note, identity=who())
    assert "false" in text_of(authz.filter("note:read", Memo, identity=who()))


@pytest.mark.usefixtures("app")
def test_a_rule_of_a_mixin_serves_the_models_that_have_it(authz: Authz, session: Session) -> None:
    authz.rule("thing:read", Owned, OWN)
    criterion = authz.filter("thing:read", Folder, identity=who("ada"))
    assert ids(session, criterion, Folder) == [1]
    with pytest.raises(MisuseError, match="has no rule for Note"):
        authz.filter("thing:read", Note, identity=who("ada"))


@pytest.mark.usefixtures("app")
def test_a_rule_of_a_mixin_is_held_against_the_columns_when_it_is_filtered(authz: Authz) -> None:
    authz.rule("thing:read", Owned, attr("parent_id") == subject)
    with pytest.raises(MisuseError, match="write subject"):
        authz.filter("thing:read", Folder, identity=who())


@pytest.mark.usefixtures("app")
def test_a_part_that_only_calling_it_answers_is_not_a_filter_anyone_who_asks(authz: Authz) -> None:
    def is_short(identity: Identity, note: Note) -> bool:
        return len(note.status or "") < 5

    authz.rule("note:read", Note, has_role("admin") | OWN & is_short)
    for identity in (who("ada"), who("eve", "admin"), None):
        with pytest.raises(MisuseError) as raised:
            authz.filter("note:read", Note, identity=identity)
        assert "is_short cannot be compiled to SQL" in str(raised.value)
        assert "write it with attr(...)" in str(raised.value)
    assert allowed("note:read", on=Note(owner="ada", status="x"), identity=who("ada"))


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("asked", "model", "message"),
    [
        ("note:read", Note, "'note:read' has no rule for Note: write authz.rule('note:read', Note"),
        (OWN, Note.__table__, "neither a class mapped by SQLAlchemy"),
        (OWN, Note(), "neither a class mapped by SQLAlchemy"),
        (OWN, Owned, "neither a class mapped by SQLAlchemy"),
        (attr("nope") == 1, Note, "Note has no nope"),
        ({"GET": OWN}, Note, "mapping of HTTP methods"),
        (attr("owner"), Note, "Invalid requirement"),
        ([OWN], Note, "A list is not a requirement"),
    ],
)
def test_what_cannot_be_filtered_says_so(
    authz: Authz, asked: Any, model: Any, message: str
) -> None:
    with pytest.raises(MisuseError) as raised:
        authz.filter(asked, model, identity=who())
    assert message in str(raised.value)


def test_a_filter_needs_a_request_or_an_identity(authz: Authz, app: Flask) -> None:
    with pytest.raises(MisuseError, match="identity="):
        authz.filter(OWN, Note)
    with pytest.raises(MisuseError, match="expected an identity"):
        authz.filter(OWN, Note, identity=who)


def test_a_filter_needs_an_application(authz: Authz) -> None:
    with pytest.raises(MisuseError, match="There is no application"):
        authz.filter(OWN, Note, identity=who())


@pytest.mark.usefixtures("app")
def test_an_error_behind_a_part_that_decides_is_not_met(authz: Authz, session: Session) -> None:
    wrong = attr("number") == claim("n")
    identity = who("ada", n="text")
    asked = OWN | wrong | (attr("status") == "published")
    rows = list(session.scalars(select(Note).order_by(Note.id)))
    for each in (asked, ~asked, wrong | ~wrong, ~(OWN & wrong), has_role("nobody") | OWN):
        found = ids(session, authz.filter(each, Note, identity=identity))
        assert found == [n.id for n in rows if each.evaluate(identity, n)], each
    assert ids(session, authz.filter(asked, Note, identity=identity)) == [1, 2, 5]
    assert ids(session, authz.filter(~(OWN & wrong), Note, identity=identity)) == [2, 3, 6]


@pytest.mark.usefixtures("app")
def test_a_role_that_the_catalog_lacks_lets_no_row_through(authz: Authz) -> None:
    text = text_of(authz.filter(~has_role("nobody") & OWN, Note, identity=who()))
    assert text.endswith("WHERE false")
    text = text_of(authz.filter(~has_claim("n", 5) | OWN, Note, identity=who(n="5")))
    assert text.endswith("WHERE false")


@pytest.mark.usefixtures("app")
def test_overrides_and_additions_count_in_a_filter(authz: Authz, session: Session) -> None:
    authz.rule("note:read", Note, READ)
    with overrides.override(Override("note:read")):
        assert len(ids(session, authz.filter("note:read", Note, identity=who("eve")))) == 6
    with overrides.override(Override(attr("status") == "published")):
        assert len(ids(session, authz.filter("note:read", Note, identity=who("eve")))) == 6
    with additions.additional(Additional(attr("number") == 1)):
        assert ids(session, authz.filter("note:read", Note, identity=who("eve", "admin"))) == [3]
    assert ids(session, authz.filter("note:read", Note, identity=who("eve"))) == [2]


@pytest.mark.usefixtures("app")
def test_a_text_is_compared_in_full_whatever_the_collation(authz: Authz, session: Session) -> None:
    asked = attr("label") == "red"
    assert ids(session, authz.filter(asked, Note, identity=who())) == [2]
    assert ids(session, authz.filter(attr("label").in_(["red"]), Note, identity=who())) == [2]


@pytest.mark.usefixtures("app")
def test_a_boolean_that_is_stored_as_2_is_true_as_in_the_item_check(
    authz: Authz, session: Session
) -> None:
    session.execute(text("INSERT INTO legacy VALUES (1, 0), (2, 1), (3, 2), (4, NULL)"))
    hidden = attr("is_hidden") == True  # noqa: E712
    for rule, expected in ((hidden, [2, 3]), (~hidden, [1])):
        rows = session.scalars(select(Legacy).order_by(Legacy.id))
        assert [row.id for row in rows if rule.evaluate(who(), row)] == expected
        found = session.scalars(select(Legacy.id).where(authz.filter(rule, Legacy, identity=who())))
        assert sorted(found) == expected


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("asked", [OWN, attr("owner") < "x", attr("owner").in_(["x"])])
def test_a_database_that_may_compare_texts_in_another_way_is_refused(
    authz: Authz, asked: Any
) -> None:
    statement = select(Note.id).where(authz.filter(asked, Note, identity=who()))
    with pytest.raises(MisuseError, match="cannot be compiled for oracle"):
        statement.compile(dialect=oracle.dialect())


@pytest.mark.usefixtures("app")
def test_a_filter_costs_one_query(authz: Authz, session: Session) -> None:
    authz.rule("note:read", Note, READ | (attr("folder.owner") == subject))
    asked: list[str] = []
    event.listen(session.get_bind(), "before_cursor_execute", lambda *each: asked.append(each[2]))
    page = select(Note).where(authz.filter("note:read", Note, identity=who())).limit(2)
    assert len(session.scalars(page).all()) == 2
    assert len(asked) == 1
    assert "LIMIT" in asked[0]


@pytest.mark.slow
def test_the_error_without_the_extra_names_it(tmp_path: Path) -> None:
    (tmp_path / "sqlalchemy.py").write_text("raise ImportError('gone', name=__name__)")
    code = """
from flask import Flask
from jwt_authz import Authz, Identity, allowed, attr
from jwt_authz.conditions import subject

class Note:
    owner = "ada"

app = Flask("x")
app.config["JWT_SECRET_KEY"] = 64 * "x"
authz = Authz(app)
authz.rule("note:read", Note, attr("owner") == subject)
with app.app_context():
    print(allowed("note:read", on=Note(), identity=Identity("ada")))
    authz.filter("note:read", Note, identity=Identity("ada"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "True\n"
    assert "pip install 'jwt_authz[sqlalchemy]'" in done.stderr
