"""Guarded fields: hidden on output, refused by their name on input, and closed when in doubt."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from flask import Flask, request
from marshmallow import EXCLUDE, INCLUDE, Schema, ValidationError, fields, pre_load

from jwt_authz import (
    Authz,
    Identity,
    MisuseError,
    Role,
    Roles,
    allowed,
    has_role,
    requirement,
    requires,
)
from jwt_authz.audit import decided
from jwt_authz.contrib.marshmallow import editing, guarded
from jwt_authz.errors import StoreUnavailable
from jwt_authz.testing import acting_as, authz_client

pytestmark = pytest.mark.versions

ROLES = Roles(
    Role("reader", "article:read"),
    Role("auditor", "article:audit", includes="reader"),
    Role("editor", "article:edit", includes="auditor"),
)


@requirement("is the author of this article")
def author(identity: Any, article: dict[str, Any]) -> bool:
    return bool(identity.subject == article["author"])


@requirement
def broken(identity: Any, article: Any) -> bool:
    raise ZeroDivisionError


@requirement
def unreachable(identity: Any) -> bool:
    raise StoreUnavailable("the ledger does not answer")


class NoteSchema(Schema):
    text = fields.String()
    secret = guarded(fields.String(), shown="article:audit")


class ArticleSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    title = fields.String(required=True)
    notes = guarded(fields.String(), shown=author | has_role("editor"))
    status = guarded(fields.String(load_default="draft"), written="article:edit")
    owner = guarded(fields.String(data_key="ownedBy"), written=(author, "article:edit"))
    audit = guarded(fields.Nested(NoteSchema), shown="article:audit")
    tags = guarded(fields.List(fields.String()), shown="article:audit", written="article:edit")


ARTICLE = {
    "title": "Ferns",
    "author": "ann",
    "notes": "dull",
    "status": "draft",
    "owner": "ann",
    "audit": {"text": "seen", "secret": "x"},
    "tags": ["green"],
}


@pytest.fixture
def app() -> Flask:
    app = Flask("press")
    app.config.update(JWT_SECRET_KEY="k" * 64, TESTING=True)
    Authz(app, roles=ROLES)

    @app.get("/one")
    @requires(optional=True)
    def one() -> Any:
        return ArticleSchema().dump(ARTICLE)

    @app.get("/many")
    @requires("article:read")
    def many() -> Any:
        return ArticleSchema(many=True, only=["title", "notes"]).dump(
            [ARTICLE, {**ARTICLE, "author": "bob"}]
        )

    @app.post("/write")
    @requires(optional=True)
    def write() -> Any:
        with editing(ARTICLE):
            return ArticleSchema(partial=True).load(request.get_json())

    @app.post("/new")
    @requires()
    def new() -> Any:
        return ArticleSchema().load(request.get_json())

    @app.post("/list")
    @requires()
    def write_list() -> Any:
        return ArticleSchema(many=True, partial=True).load(request.get_json())

    return app


def test_a_field_is_shown_to_who_meets_its_requirement_and_left_out_for_others(app: Flask) -> None:
    everything = {**{k: v for k, v in ARTICLE.items() if k != "author"}}
    everything["ownedBy"] = everything.pop("owner")
    assert authz_client(app, roles=["editor"]).get("/one").json == everything
    reader = authz_client(app, roles=["reader"]).get("/one").json
    assert set(reader) == {"title", "status", "ownedBy"}
    assert set(app.test_client().get("/one").json) == {"title", "status", "ownedBy"}


def test_the_object_is_the_resource_on_output(app: Flask) -> None:
    shown = authz_client(app, roles=["reader"], subject="ann").get("/many").json
    assert shown == [{"title": "Ferns", "notes": "dull"}, {"title": "Ferns"}]


def test_a_field_of_a_nested_schema_is_guarded_as_well(app: Flask) -> None:
    assert authz_client(app, roles=["auditor"]).get("/one").json["audit"] == {
        "text": "seen",
        "secret": "x",
    }
    with app.test_request_context():
        assert NoteSchema().dump({"text": "seen", "secret": "x"}) == {"text": "seen"}


def test_a_member_that_may_be_written_is_loaded(app: Flask) -> None:
    editor = authz_client(app, roles=["editor"], subject="ann")
    sent = {"status": "out", "ownedBy": "bob", "tags": ["red"]}
    loaded = {"status": "out", "owner": "bob", "tags": ["red"]}
    assert editor.post("/write", json=sent).json == loaded


@pytest.mark.parametrize("value", ["out", None, 7])
def test_a_member_that_may_not_be_written_is_refused_by_its_name(app: Flask, value: Any) -> None:
    answer = authz_client(app, roles=["reader"]).post("/write", json={"status": value})
    assert answer.status_code == 403
    assert answer.mimetype == "application/problem+json"
    assert answer.json["detail"] == (
        "You cannot write the member status. Requires a caller who has the permission article:edit."
    )
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_member_is_named_as_the_client_names_it(app: Flask) -> None:
    answer = authz_client(app, roles=["editor"], subject="bob").post(
        "/write", json={"ownedBy": "bob"}
    )
    assert answer.status_code == 403
    assert answer.json["detail"].startswith("You cannot write the member ownedBy.")


def test_what_is_not_sent_is_not_written_and_has_its_default(app: Flask) -> None:
    answer = authz_client(app, roles=["reader"]).post("/new", json={"title": "Moss"})
    assert answer.json == {"title": "Moss", "status": "draft"}


def test_each_object_of_a_list_is_looked_at(app: Flask) -> None:
    reader = authz_client(app, roles=["reader"])
    assert reader.post("/list", json=[{"title": "a"}, {"title": "b"}]).status_code == 200
    answer = reader.post("/list", json=[{"title": "a"}, {"status": "out"}])
    assert answer.status_code == 403


def test_nobody_is_401(app: Flask) -> None:
    answer = app.test_client().post("/write", json={"status": "out"})
    assert answer.status_code == 401


def test_an_invalid_value_is_reported_only_to_callers_who_may_write(app: Flask) -> None:
    with (
        app.test_request_context(),
        acting_as(app, roles=["editor"]),
        pytest.raises(ValidationError, match="Not a valid string"),
    ):
        ArticleSchema().load({"title": "a", "status": 7})


def test_without_editing_a_requirement_on_a_resource_refuses(app: Flask) -> None:
    editor = authz_client(app, roles=["editor"], subject="ann")
    answer = editor.post("/new", json={"title": "a", "ownedBy": "bob"})
    assert answer.status_code == 403


def test_editing_ends_with_its_block_and_nests(app: Flask) -> None:
    with app.test_request_context(), acting_as(app, roles=["editor"], subject="ann"):
        schema = ArticleSchema(partial=True)
        with pytest.raises(ZeroDivisionError), editing(ARTICLE):
            with editing({**ARTICLE, "author": "bob"}), pytest.raises(Exception, match="403"):
                schema.load({"ownedBy": "bob"})
            assert schema.load({"ownedBy": "bob"}) == {"owner": "bob"}
            raise ZeroDivisionError
        with pytest.raises(Exception, match="403"):
            schema.load({"ownedBy": "bob"})


def dumped(app: Flask, asked: Any, negated: bool = False) -> Any:
    """What is shown of a field that asks for this, to an editor."""

    class Tried(Schema):
        it = guarded(fields.Integer(), shown=~asked if negated else asked)

    with app.test_request_context(), acting_as(app, roles=["editor"]):
        return Tried().dump({"it": 1})


@pytest.mark.parametrize("negated", [False, True])
def test_an_error_hides_a_field_and_is_audited(app: Flask, negated: bool) -> None:
    heard = []
    with decided.connected_to(lambda sender, outcome, **_: heard.append(outcome), sender=app):
        assert dumped(app, broken, negated) == {}
    assert heard == ["refused"]


def test_a_store_that_does_not_answer_is_503_and_not_a_field_left_out(app: Flask) -> None:
    with pytest.raises(Exception, match="503"):
        dumped(app, unreachable)


def test_without_a_request_or_an_authz_it_is_a_misuse(app: Flask) -> None:
    with app.app_context(), pytest.raises(MisuseError, match="outside a request"):
        ArticleSchema().dump(ARTICLE)
    with pytest.raises(MisuseError, match="There is no application"):
        ArticleSchema().dump(ARTICLE)
    with Flask("bare").test_request_context(), pytest.raises(MisuseError, match="has no Authz"):
        ArticleSchema().dump(ARTICLE)


def test_hooks_and_options_of_schemas_do_not_go_around_a_guard(app: Flask) -> None:
    class Sly(Schema):
        class Meta:
            unknown = EXCLUDE

        status = guarded(fields.String(), shown="article:edit", written="article:edit")

        @pre_load
        def add(self, data: Any, **keywords: Any) -> Any:
            return {**data, "status": "out"}

    with app.test_request_context(), acting_as(app, roles=["reader"]):
        for schema in (Sly(), Sly(partial=True), Sly(only=["status"]), Sly(many=True)):
            given: Any = [{}] if schema.many else {}
            with pytest.raises(Exception, match="403"):
                schema.load(given)
            with pytest.raises(Exception, match="403"):
                schema.validate(given)
        assert Sly(only=["status"]).dump({"status": "out"}) == {}
        assert Sly(exclude=["status"]).load({}) == {}
        assert not allowed("article:edit")


def test_two_fields_of_one_class_are_two(app: Flask) -> None:
    class Two(Schema):
        open = fields.String()
        shut = guarded(fields.String(), shown="article:edit")
        half = guarded(fields.String(), shown="article:read")

    with app.test_request_context(), acting_as(app, roles=["reader"]):
        assert Two().dump({"open": "a", "shut": "b", "half": "c"}) == {"open": "a", "half": "c"}
    assert isinstance(Two().fields["shut"], fields.String)


@pytest.mark.parametrize(
    "make",
    [
        lambda: fields.List(guarded(fields.String(), shown="a:b")),
        lambda: fields.Dict(values=guarded(fields.String(), shown="a:b")),
        lambda: fields.Tuple([guarded(fields.String(), shown="a:b")]),
    ],
)
def test_a_guard_inside_of_another_field_is_a_misuse(make: Any) -> None:
    with pytest.raises(MisuseError, match=r"write guarded\(fields\.(List|Dict|Tuple)\(\.\.\.\)"):
        Schema.from_dict({"it": make()})()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: guarded("title", shown="a:b"),
            "Invalid field 'title': expected",
        ),  # type: ignore[type-var]
        (lambda: guarded(fields.String, shown="a:b"), "expected a marshmallow field"),  # type: ignore[type-var]
        (lambda: guarded(fields.String()), "has no requirement"),
        (lambda: guarded(fields.String(), shown="title"), "Invalid permission"),
        (lambda: guarded(fields.String(), shown=has_role), "is a class"),
        (lambda: guarded(fields.String(), written={"GET": "a:b"}), "mapping of HTTP methods"),
    ],
)
def test_what_cannot_be_guarded_is_a_misuse(make: Any, message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        make()


def test_an_identity_of_the_applications_own_does_as_well() -> None:
    app = Flask("own")
    app.config.update(JWT_SECRET_KEY="k" * 64)
    Authz(app).identity_loader(lambda: Identity("ann"))

    class Tried(Schema):
        it = guarded(fields.Integer(), shown=lambda identity: identity.subject == "ann")

    with app.test_request_context():
        assert Tried().dump({"it": 1}) == {"it": 1}


# --- unknown members -----------------------------------------------------------------------------


class UserSchema(Schema):
    class Meta:
        unknown = INCLUDE

    name = fields.String()
    level = guarded(fields.Integer(data_key="lvl"), written="article:edit")
    plan = guarded(fields.String(attribute="account.plan"), written="article:edit")
    badge = guarded(fields.String(dump_only=True), shown="article:read", written="article:edit")


class StrictUserSchema(UserSchema):
    class Meta:
        unknown = EXCLUDE


class TeamSchema(Schema):
    users = fields.List(fields.Nested(UserSchema))
    boss = fields.Nested(StrictUserSchema(), unknown=INCLUDE)


LOADS = {
    "in Meta": lambda body: UserSchema().load(body),
    "partial": lambda body: UserSchema(partial=True).load(body),
    "partial by name": lambda body: UserSchema().load(body, partial=("level", "plan")),
    "in the constructor": lambda body: StrictUserSchema(unknown=INCLUDE).load(body),
    "in load": lambda body: StrictUserSchema().load(body, unknown=INCLUDE),
    "many": lambda body: UserSchema(many=True).load([{"name": "bob"}, body])[1],
    "a copy": lambda body: copy.copy(UserSchema()).load(body),
    "made of a dict": lambda body: Schema.from_dict(
        {"level": UserSchema._declared_fields["level"], "name": fields.String()}
    )().load(body, unknown=INCLUDE),
    "excluded": lambda body: UserSchema(exclude=["level"]).load(body),
    "not among those": lambda body: UserSchema(only=["name"]).load(body),
    "dumped only": lambda body: UserSchema(dump_only=["level"]).load(body),
    "excluded by a parent": lambda body: TeamSchema(exclude=["users.level"]).load(
        {"users": [body]}
    )["users"][0],
    "nested in a list": lambda body: TeamSchema().load({"users": [body]})["users"][0],
    "nested in an instance": lambda body: TeamSchema().load({"boss": body})["boss"],
}


@pytest.mark.parametrize("load", LOADS)
def test_an_unknown_member_cannot_take_the_place_of_a_guarded_field(app: Flask, load: str) -> None:
    with acting_as(app, roles=["reader"]), app.test_request_context():
        assert LOADS[load]({"name": "ada", "city": "Ulm"}) == {"name": "ada", "city": "Ulm"}
        with pytest.raises(ValidationError) as refused:
            LOADS[load]({"name": "ada", "level": 9})
    assert "'level': ['Unknown field.']" in str(refused.value)


@pytest.mark.parametrize("name", ["account", "badge"])
def test_neither_can_one_with_the_name_of_its_attribute_or_of_one_that_is_only_shown(
    app: Flask, name: str
) -> None:
    @app.post("/users")
    @requires()
    def add_user() -> Any:
        try:
            return UserSchema().load(request.get_json())
        except ValidationError as error:
            return error.messages_dict, 422

    client = authz_client(app, roles=["editor"])
    answer = client.post("/users", json={name: {"plan": "gold"}})
    assert (answer.status_code, answer.json) == (422, {name: ["Unknown field."]})
    answer = client.post("/users", json={"lvl": 9, "plan": "gold", "x": 1})
    assert answer.json == {"level": 9, "account": {"plan": "gold"}, "x": 1}
