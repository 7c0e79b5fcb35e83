"""The verbs: what `requires`, `authorize`, `allowed` and `with` let through and refuse."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Blueprint, Flask, abort, jsonify, make_response, request
from flask.testing import FlaskClient
from flask.views import MethodView, View
from werkzeug.exceptions import Gone, HTTPException, NotFound
from werkzeug.local import LocalProxy

from jwt_authz import (
    Authz,
    Decision,
    Identity,
    MisuseError,
    NotAllowed,
    NotIdentified,
    Permission,
    Requirement,
    allowed,
    authorize,
    current_identity,
    guard,
    has_claim,
    has_level,
    has_permission,
    has_role,
    has_scope,
    requirement,
    requires,
)
from jwt_authz.errors import StoreUnavailable
from jwt_authz.inspection import check as inspection
from tests import hostile
from tests.edge import (
    PROBLEM,
    TYPE,
    bare_app,
    bearer,
    catalog,
    claims_of,
    get,
    guarded_app,
    token_for,
)

ARTICLES = {
    1: SimpleNamespace(id=1, author="alice", title="First"),
    2: SimpleNamespace(id=2, author="bob", title="Second"),
}


@requirement("is the author of this article")
def author(identity: Identity, article: Any) -> bool:
    return identity.subject == article.author


def load(id: int) -> Any:
    return ARTICLES.get(id) or abort(404)


@pytest.fixture
def app() -> Flask:
    return guarded_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


Tokens = dict[str, str | None]


@pytest.fixture
def tokens(app: Flask) -> Tokens:
    """Alice edits, bob views, carol has no role, dora administrates; nobody has no token."""
    return {
        "alice": token_for(app, "alice", "editor"),
        "bob": token_for(app, "bob", "viewer"),
        "carol": token_for(app, "carol"),
        "dora": token_for(app, "dora", "admin"),
        "nobody": None,
        "forged": hostile.token(claims_of("alice"), secret="x" * 40),
    }


def statuses(client: FlaskClient, path: str, tokens: Tokens, method: str = "GET") -> list[int]:
    """What each of the callers is answered, in the fixture's order."""
    found = []
    for token in tokens.values():
        headers = bearer(token) if token else {}
        found.append(client.open(path, method=method, headers=headers).status_code)
    return found


EDITORS = [200, 403, 403, 200, 401, 401]
VIEWERS = [200, 200, 403, 200, 401, 401]
ANYBODY_KNOWN = [200, 200, 200, 200, 401, 401]
NOBODY = [403, 403, 403, 403, 401, 401]


# --- what may be asked for -----------------------------------------------------------------------

ASKED: dict[str, tuple[tuple[Any, ...], list[int]]] = {
    "nothing": ((), ANYBODY_KNOWN),
    "a permission's text": (("article:edit",), EDITORS),
    "a Permission": ((Permission("article", "edit"),), EDITORS),
    "has_permission": ((has_permission("article:edit"),), EDITORS),
    "has_role": ((has_role("editor"),), EDITORS),
    "a role that others include": ((has_role("viewer"),), VIEWERS),
    "a level by name": ((has_level("editor"),), EDITORS),
    "a level by number": ((has_level(1),), EDITORS),
    "a claim": ((has_claim("sub", "alice"),), [200, 403, 403, 403, 401, 401]),
    "a scope nobody has": ((has_scope("read"),), NOBODY),
    "two": (("article:read", has_role("editor")), EDITORS),
    "two that exclude each other": (
        (has_role("editor"), ~has_role("viewer")),
        NOBODY,
    ),
    "this or that": (
        (has_claim("sub", "carol") | has_role("admin"),),
        [403, 403, 200, 200, 401, 401],
    ),
    "a text beside an operator": (
        ("article:edit" & ~has_claim("sub", "dora"),),
        [200, 403, 403, 403, 401, 401],
    ),
    "a function": ((lambda identity: identity.subject == "bob",), [403, 200, 403, 403, 401, 401]),
    "a wildcard that nobody holds": (("article:*",), NOBODY),
    "a permission that no role grants": (("article:burn",), NOBODY),
    "the opposite of one that no role grants": ((~has_permission("article:burn"),), NOBODY),
    "a role that does not exist": ((has_role("king"),), NOBODY),
    "the opposite of such a role": ((~has_role("king"),), NOBODY),
}


@pytest.mark.parametrize("asked", ASKED)
def test_a_guard_on_a_function_lets_pass_whom_its_requirements_allow(
    asked: str, client: FlaskClient, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements, expected = ASKED[asked]
    guarded = requires(*requirements)(lambda: "in")
    client.application.add_url_rule("/", "view", guarded)
    # The check reports what the catalog lacks; here the guard must refuse by itself.
    monkeypatch.setattr(inspection, "check", lambda parts: [])
    for _ in ("cold", "warm"):
        assert statuses(client, "/", tokens) == expected


@pytest.mark.parametrize("asked", [name for name in ASKED if "two" in name or "text" in name])
def test_the_other_verbs_mean_the_same(asked: str, client: FlaskClient, tokens: Tokens) -> None:
    requirements, expected = ASKED[asked]
    app = client.application

    @app.route("/with")
    def with_block() -> str:
        with requires(*requirements):
            return "in"

    @app.route("/authorize")
    def authorized() -> str:
        authorize(*requirements)
        return "in"

    @app.route("/allowed")
    def asked_for() -> tuple[str, int]:
        return ("in", 200) if allowed(*requirements) else ("out", 403)

    assert statuses(client, "/with", tokens) == expected
    assert statuses(client, "/authorize", tokens) == expected
    assert statuses(client, "/allowed", tokens) == [403 if s == 401 else s for s in expected]


def test_a_role_does_not_make_up_for_a_scope_that_the_client_was_not_granted(
    client: FlaskClient,
) -> None:
    """SECURITY 2.45."""
    app = client.application
    view = requires(has_role("admin"), has_scope("write"))(lambda: "in")
    app.add_url_rule("/", "view", view)
    for scope, expected in (("read", 403), ("read write", 200), ("writer", 403), ("", 403)):
        token = token_for(app, "dora", "admin", claims={"scope": scope})
        assert get(client, "/", token).status_code == expected
    assert get(client, "/", token_for(app, "eve", claims={"scope": "write"})).status_code == 403


def test_stacked_guards_all_hold(client: FlaskClient, tokens: Tokens) -> None:
    view = requires("article:read")(requires(has_claim("sub", "bob"))(lambda: "in"))
    client.application.add_url_rule("/", "view", view)
    assert statuses(client, "/", tokens) == [403, 200, 403, 403, 401, 401]


def test_the_view_gets_its_arguments_and_its_answer_is_left_as_it_is(client: FlaskClient) -> None:
    app = client.application

    @app.route("/<int:number>/<name>")
    @requires()
    def view(number: int, name: str) -> Any:
        return {"number": number, "name": name}, 201, {"X-Own": "yes"}

    response = get(client, "/7/seven", token_for(app))
    assert (response.status_code, response.get_json()) == (201, {"number": 7, "name": "seven"})
    assert response.headers["X-Own"] == "yes"


def test_the_view_itself_returns_what_it_returned_before(app: Flask) -> None:
    """APIFlask and flask-smorest serialise what comes out of the view."""
    thing = object()
    view = requires()(lambda: thing)
    with app.test_request_context(headers=bearer(token_for(app))):
        assert view() is thing


def test_a_guarded_view_keeps_its_name_document_and_signature() -> None:
    def original(id: int, *, deep: bool = False) -> str:
        """What it does."""
        return ""

    guarded = requires()(original)
    assert (guarded.__name__, guarded.__doc__) == ("original", "What it does.")
    assert inspect.signature(guarded) == inspect.signature(original)
    assert guarded.__wrapped__ is original


# --- classes -------------------------------------------------------------------------------------


class Articles(MethodView):
    decorators = [requires("article:read")]  # noqa: RUF012 as Flask's own

    def get(self) -> str:
        return "list"

    @requires("article:edit")
    def post(self) -> str:
        return "made"


class Inherited(Articles):
    def put(self) -> str:
        return "put"


class Overridden(Articles):
    def post(self) -> str:
        return "made without asking for more"


class Mixin:
    @requires(has_role("admin"))
    def delete(self) -> str:
        return "deleted"


class Mixed(Mixin, MethodView):
    def get(self) -> str:
        return "open"


class Plain(View):
    decorators = [requires("article:edit")]  # noqa: RUF012
    methods = ["GET", "POST"]  # noqa: RUF012

    def dispatch_request(self) -> str:
        return "plain"


def add_class(app: Flask, view_class: type[View], path: str = "/") -> None:
    app.add_url_rule(path, view_func=view_class.as_view(view_class.__name__.lower()))


def test_a_guard_in_a_class_holds_for_all_its_methods(client: FlaskClient, tokens: Tokens) -> None:
    add_class(client.application, Articles)
    assert statuses(client, "/", tokens) == VIEWERS
    assert statuses(client, "/", tokens, "POST") == EDITORS
    assert statuses(client, "/", tokens, "HEAD") == VIEWERS


def test_a_guard_on_one_method_holds_for_that_method_alone(
    client: FlaskClient, tokens: Tokens
) -> None:
    add_class(client.application, Mixed)
    assert statuses(client, "/", tokens) == [200] * 6
    assert statuses(client, "/", tokens, "DELETE") == [403, 403, 403, 200, 401, 401]


def test_a_subclass_is_guarded_by_what_it_inherits(client: FlaskClient, tokens: Tokens) -> None:
    """SECURITY 1.30."""
    add_class(client.application, Inherited, "/inherited")
    add_class(client.application, Overridden, "/overridden")
    assert statuses(client, "/inherited", tokens, "PUT") == VIEWERS
    assert statuses(client, "/inherited", tokens, "POST") == EDITORS
    assert statuses(client, "/overridden", tokens, "POST") == VIEWERS


def test_a_view_class_without_methods_of_its_own_is_guarded(
    client: FlaskClient, tokens: Tokens
) -> None:
    add_class(client.application, Plain)
    assert statuses(client, "/", tokens) == EDITORS
    assert statuses(client, "/", tokens, "POST") == EDITORS


def test_one_class_used_for_two_routes_is_guarded_on_both(
    client: FlaskClient, tokens: Tokens
) -> None:
    for name in ("one", "two"):
        client.application.add_url_rule(f"/{name}", view_func=Articles.as_view(name))
    for name in ("one", "two"):
        assert statuses(client, f"/{name}", tokens) == VIEWERS


def test_a_class_made_once_for_all_requests_is_guarded(client: FlaskClient, tokens: Tokens) -> None:
    class Once(Articles):
        init_every_request = False

    add_class(client.application, Once)
    assert statuses(client, "/", tokens) == VIEWERS


# --- a mapping of methods ------------------------------------------------------------------------


def test_each_method_asks_for_its_entry(client: FlaskClient, tokens: Tokens) -> None:
    guarded = requires({"GET": "article:read", "POST": "article:edit", "DELETE": has_role("admin")})
    methods = ["GET", "POST", "DELETE", "PUT"]
    client.application.add_url_rule("/", "view", guarded(lambda: "in"), methods=methods)
    assert statuses(client, "/", tokens) == VIEWERS
    assert statuses(client, "/", tokens, "POST") == EDITORS
    assert statuses(client, "/", tokens, "DELETE") == [403, 403, 403, 200, 401, 401]


def test_a_method_that_the_mapping_lacks_is_refused_to_everybody(
    client: FlaskClient, tokens: Tokens
) -> None:
    guarded = requires({"GET": "article:read"})
    client.application.add_url_rule("/", "view", guarded(lambda: "in"), methods=["GET", "PUT"])
    assert statuses(client, "/", tokens, "PUT") == NOBODY


def test_a_mapping_and_other_requirements_must_all_be_met(
    client: FlaskClient, tokens: Tokens
) -> None:
    guarded = requires({"GET": "article:read"}, {"GET": has_level(0)}, has_claim("sub", "bob"))
    client.application.add_url_rule("/", "view", guarded(lambda: "in"), methods=["GET", "PUT"])
    assert statuses(client, "/", tokens) == [403, 200, 403, 403, 401, 401]
    assert statuses(client, "/", tokens, "PUT") == NOBODY


def test_two_mappings_must_both_have_an_entry(client: FlaskClient, tokens: Tokens) -> None:
    guarded = requires({"GET": "article:read", "PUT": "article:read"}, {"GET": "article:read"})
    client.application.add_url_rule("/", "view", guarded(lambda: "in"), methods=["GET", "PUT"])
    assert statuses(client, "/", tokens) == VIEWERS
    assert statuses(client, "/", tokens, "PUT") == NOBODY


def test_head_asks_for_gets_entry(client: FlaskClient, tokens: Tokens) -> None:
    guarded = requires({"GET": "article:edit"})
    client.application.add_url_rule("/", "view", guarded(lambda: "in"))
    assert statuses(client, "/", tokens, "HEAD") == EDITORS


def test_head_asks_for_its_own_entry_where_there_is_one(
    client: FlaskClient, tokens: Tokens
) -> None:
    guarded = requires({"GET": "article:edit", "HEAD": "article:read"})
    client.application.add_url_rule("/", "view", guarded(lambda: "in"))
    assert statuses(client, "/", tokens, "HEAD") == VIEWERS
    assert statuses(client, "/", tokens) == EDITORS


@pytest.mark.parametrize("place", ["decorators", "outside"])
def test_a_view_that_defines_head_does_not_use_gets_entry(
    place: str, client: FlaskClient, tokens: Tokens
) -> None:
    guarded = requires({"GET": "article:read"})

    class Own(MethodView):
        decorators = [guarded] if place == "decorators" else []

        def get(self) -> str:
            return "get"

        def head(self) -> str:
            return "head"

    view = Own.as_view("own")
    client.application.add_url_rule("/", view_func=guarded(view) if place == "outside" else view)
    assert statuses(client, "/", tokens) == VIEWERS
    assert statuses(client, "/", tokens, "HEAD") == NOBODY


def test_a_view_that_defines_head_uses_its_entry(client: FlaskClient, tokens: Tokens) -> None:
    class Own(MethodView):
        decorators = [requires({"GET": "article:read", "HEAD": "article:edit"})]  # noqa: RUF012

        def get(self) -> str:
            return "get"

        def head(self) -> str:
            return "head"

    add_class(client.application, Own)
    assert statuses(client, "/", tokens, "HEAD") == EDITORS


def test_the_options_that_flask_answers_pass_and_those_of_a_view_are_guarded(
    client: FlaskClient, tokens: Tokens
) -> None:
    app = client.application
    app.add_url_rule("/automatic", "automatic", requires("article:edit")(lambda: "in"))
    own = requires("article:edit")(lambda: "own")
    app.add_url_rule("/own", "own", own, methods=["GET", "OPTIONS"])
    mapped = requires({"GET": "article:read"})(lambda: "mapped")
    app.add_url_rule("/mapped", "mapped", mapped, methods=["GET", "OPTIONS"])

    class OwnOptions(MethodView):
        decorators = [requires("article:edit")]  # noqa: RUF012

        def options(self) -> str:
            return "own"

    add_class(app, OwnOptions, "/class")
    assert statuses(client, "/automatic", tokens, "OPTIONS") == [200] * 6
    assert statuses(client, "/own", tokens, "OPTIONS") == EDITORS
    assert statuses(client, "/mapped", tokens, "OPTIONS") == NOBODY
    assert statuses(client, "/class", tokens, "OPTIONS") == EDITORS


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"get": "article:read"}, "Invalid HTTP method 'get': write 'GET'"),
        ({"FETCH": "article:read"}, "Invalid HTTP method 'FETCH': write one of"),
        ({1: "article:read"}, "Invalid HTTP method 1"),
        ({"GET": "article"}, "Invalid permission 'article'"),
        ({"GET": {"POST": "article:read"}}, "(?i)a mapping of HTTP methods"),
    ],
)
def test_a_mapping_that_cannot_work_is_reported_at_once(mapping: Any, message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        requires(mapping)


# --- a resource ----------------------------------------------------------------------------------


def test_on_loads_the_resource_from_the_views_arguments(
    client: FlaskClient, tokens: Tokens
) -> None:
    """SECURITY 2.28."""
    guarded = requires(author | has_role("admin"), on=load)
    client.application.add_url_rule("/<int:id>", "view", guarded(lambda id: f"{id}"))
    assert statuses(client, "/1", tokens) == [200, 403, 403, 200, 401, 401]
    assert statuses(client, "/2", tokens) == [403, 200, 403, 200, 401, 401]
    assert statuses(client, "/3", tokens) == [404, 404, 404, 404, 401, 401]


def test_on_is_not_asked_where_nobody_is_identified(client: FlaskClient, tokens: Tokens) -> None:
    loaded: list[int] = []
    guarded = requires(author, on=lambda id: loaded.append(id) or ARTICLES[id])
    client.application.add_url_rule("/<int:id>", "view", guarded(lambda id: "in"))
    for name in ("nobody", "forged"):
        assert get(client, "/1", tokens[name]).status_code == 401
    assert loaded == []


def test_on_gets_no_view_object_where_it_guards_one_method(
    client: FlaskClient, tokens: Tokens
) -> None:
    seen: list[Any] = []

    class Article(MethodView):
        @requires(author, on=load, on_fail=lambda **view: seen.append(view))
        def get(self, id: int) -> str:
            return type(self).__name__

        @requires(author, on=load)
        async def put(self, id: int) -> str:
            return type(self).__name__

    client.application.add_url_rule("/<int:id>", view_func=Article.as_view("article"))
    assert statuses(client, "/1", tokens) == [200, 403, 403, 403, 401, 401]
    assert seen == [{"id": 1}] * 5
    assert get(client, "/1", tokens["alice"]).text == "Article"
    assert statuses(client, "/1", tokens, "PUT") == [200, 403, 403, 403, 401, 401]


def test_on_may_be_async(client: FlaskClient, tokens: Tokens) -> None:
    async def load_later(id: int) -> Any:
        return ARTICLES[id]

    guarded = requires(author, on=load_later)
    client.application.add_url_rule("/<int:id>", "view", guarded(lambda id: "in"))
    assert statuses(client, "/1", tokens) == [200, 403, 403, 403, 401, 401]


def test_none_is_a_resource_like_any_other(client: FlaskClient, tokens: Tokens) -> None:
    guarded = requires(lambda identity, it: it is None, on=lambda: None)
    client.application.add_url_rule("/", "view", guarded(lambda: "in"))
    assert statuses(client, "/", tokens) == ANYBODY_KNOWN


@pytest.mark.parametrize("turned", [False, True], ids=["plain", "under ~"])
def test_a_requirement_without_its_resource_is_reported_where_it_is_written(turned: bool) -> None:
    asked = ~author if turned else author
    with pytest.raises(MisuseError, match="author needs a resource: write on"):
        requires(asked)(lambda: "")
    with pytest.raises(MisuseError, match="author needs a resource"):
        requires({"GET": asked})(lambda: "")
    with pytest.raises(MisuseError, match="author needs a resource"):
        guard(Blueprint("some", "some"), asked)


@pytest.mark.parametrize("turned", [False, True], ids=["plain", "under ~"])
def test_a_requirement_without_its_resource_refuses(
    turned: bool, client: FlaskClient, tokens: Tokens
) -> None:
    @client.application.get("/")
    @requires()
    def view() -> str:
        with requires(~author if turned else author):
            return "in"

    assert statuses(client, "/", tokens) == NOBODY


@pytest.mark.parametrize("error", [KeyError, ValueError, StoreUnavailable, RecursionError])
def test_the_view_does_not_run_where_loading_fails(
    error: type[Exception], client: FlaskClient, tokens: Tokens
) -> None:
    client.application.logger.disabled = True

    def fail(id: int) -> Any:
        raise error("x")

    guarded = requires(author, on=fail)
    client.application.add_url_rule("/<int:id>", "view", guarded(lambda id: "in"))
    status = 503 if error is StoreUnavailable else 500
    assert statuses(client, "/1", tokens) == [status] * 4 + [401, 401]


def test_on_in_a_decorator_must_be_a_function_and_is_reported_at_once() -> None:
    with pytest.raises(MisuseError, match="on= of a decorator must be a function"):
        requires(author, on=ARTICLES[1])(lambda: "in")


def test_authorize_returns_the_resource_or_else_the_identity(app: Flask) -> None:
    with app.test_request_context(headers=bearer(token_for(app, "alice", "editor"))):
        assert authorize(author, on=ARTICLES[1]) is ARTICLES[1]
        assert authorize("article:edit").subject == "alice"
        with requires(author, on=ARTICLES[1]) as article:
            assert article is ARTICLES[1]
        with requires("article:edit") as identity:
            assert identity.subject == "alice"
        with pytest.raises(NotAllowed):
            authorize(author, on=ARTICLES[2])
        with pytest.raises(NotAllowed), requires(author, on=ARTICLES[2]):
            pytest.fail("the block ran")


def test_a_list_is_filtered_by_asking_for_each_item(app: Flask) -> None:
    with app.test_request_context(headers=bearer(token_for(app, "bob", "viewer"))):
        assert [a.id for a in ARTICLES.values() if allowed(author, on=a)] == [2]


# --- someone else's identity --------------------------------------------------------------------


def test_an_identity_that_is_given_stands_in_for_the_caller(
    client: FlaskClient, tokens: Tokens
) -> None:
    boss = Identity("boss", permissions=["article:edit"])
    nobody = Identity("nobody")
    app = client.application
    app.add_url_rule("/boss", "boss", requires("article:edit", identity=boss)(lambda: "in"))
    app.add_url_rule("/nobody", "nobody", requires("article:edit", identity=nobody)(lambda: "in"))
    app.add_url_rule("/none", "none", requires(identity=None)(lambda: "in"))
    assert statuses(client, "/boss", tokens) == [200] * 6
    assert statuses(client, "/nobody", tokens) == [403] * 6
    assert statuses(client, "/none", tokens) == [401] * 6


class Falsy(Identity):
    __slots__ = ()

    def __bool__(self) -> bool:
        return False


def test_an_identity_that_is_falsy_counts_all_the_same(client: FlaskClient, tokens: Tokens) -> None:
    falsy = Falsy("empty")
    client.application.add_url_rule(
        "/", "view", requires("article:edit", identity=falsy)(lambda: "in")
    )
    assert statuses(client, "/", tokens) == [403] * 6


def test_a_proxy_for_an_identity_is_looked_through(client: FlaskClient) -> None:
    now: list[Any] = [None]
    proxy = LocalProxy(lambda: now[0])
    client.application.add_url_rule("/", "view", requires(identity=proxy)(lambda: "in"))
    assert client.get("/").status_code == 401
    now[0] = Identity("eve")
    assert client.get("/").status_code == 200


def test_the_verbs_work_with_an_identity_and_only_an_application_context(app: Flask) -> None:
    boss = Identity("boss", permissions=["article:edit"])
    with app.app_context():
        assert allowed("article:edit", identity=boss)
        assert not allowed("article:delete", identity=boss)
        assert authorize("article:edit", identity=boss) is boss
        with requires("article:edit", identity=boss):
            pass
        with pytest.raises(NotAllowed):
            authorize("article:delete", identity=boss)
        view = requires("article:edit", identity=boss)(lambda: "in")
        assert view() == "in"


# --- misuse --------------------------------------------------------------------------------------


def test_asking_without_a_request_is_a_misuse_and_never_an_answer(app: Flask) -> None:
    asking: list[Callable[[], Any]] = [
        lambda: allowed("article:edit"),
        lambda: authorize("article:edit"),
        requires("article:edit").__enter__,
        lambda: allowed(),
    ]
    for ask in asking:
        with app.app_context(), pytest.raises(MisuseError, match="no caller outside a request"):
            ask()
        with pytest.raises(MisuseError, match="There is no application"):
            ask()


def test_asking_without_an_authz_is_a_misuse_and_never_an_answer() -> None:
    bare = bare_app()
    ran: list[str] = []
    bare.logger.disabled = True
    bare.add_url_rule("/", "view", requires()(lambda: ran.append("x") or "in"))
    for options in ({}, {"identity": Identity("boss")}):
        with bare.test_request_context(), pytest.raises(MisuseError, match="has no Authz: write"):
            allowed("article:edit", **options)
        with bare.test_request_context(), pytest.raises(MisuseError, match="has no Authz: write"):
            authorize("article:edit", **options)
    assert bare.test_client().get("/").status_code == 500
    assert ran == []


def test_a_view_guarded_before_the_extension_is_there_is_guarded_afterwards() -> None:
    app, authz = bare_app(), Authz(roles=catalog())
    app.add_url_rule("/", "view", requires("article:edit")(lambda: "in"))
    authz.init_app(app)
    client = app.test_client()
    assert get(client, "/", token_for(app, "alice", "editor")).status_code == 200
    assert get(client, "/", token_for(app, "bob", "viewer")).status_code == 403
    assert client.get("/").status_code == 401


class NoFulfill(Requirement):
    """A class that forgot its `fulfill`."""


MISUSES: dict[str, tuple[Callable[[], Any], str]] = {
    "no permission": (lambda: requires("editor"), "Invalid permission 'editor': expected"),
    "two colons": (lambda: requires("article:edit:own"), "Invalid permission 'article:edit:own'"),
    "an empty text": (lambda: requires(""), "Invalid permission"),
    "a class": (lambda: requires(NoFulfill), "NoFulfill is a class: write NoFulfill"),
    "a number": (lambda: requires(1), "Invalid requirement 1: expected"),
    "None": (lambda: requires(None), "Invalid requirement None: expected"),
    "a list": (lambda: requires(["article:edit"]), "is not a requirement: pass"),
    "an async function": (
        lambda: requires(_asks_later),
        "is async, but a requirement must be a plain function",
    ),
    "a function of nothing": (lambda: requires(lambda: True), r"expected \(identity\) or"),
    "a function of three": (lambda: requires(lambda a, b, c: True), r"expected \(identity\) or"),
    "a decorated class": (lambda: requires()(Articles), "Articles is a class: write decorators"),
    "a decorated text": (lambda: requires()("view"), "decorates views, not str"),
    "throws that is a text": (
        lambda: requires(throws="403"),
        "expected an exception or an exception class",
    ),
    "throws that is a status": (
        lambda: requires(throws=403),
        "expected an exception or an exception class",
    ),
    "a mapping for authorize": (lambda: authorize({"GET": "a:b"}), "not in authorize"),
    "a mapping for allowed": (lambda: allowed({"GET": "a:b"}), "not in allowed"),
    "guard on a view": (lambda: guard(lambda: "x"), "guard takes a blueprint or an application"),
    "a requirement in a condition": (
        lambda: has_role("a") and has_role("b"),
        "with & | ~ instead of and, or, not",
    ),
}


async def _asks_later(identity: Identity) -> bool:
    return True


@pytest.mark.parametrize("misuse", MISUSES)
def test_what_cannot_work_is_reported_where_it_is_written(misuse: str) -> None:
    make, message = MISUSES[misuse]
    with pytest.raises(MisuseError, match=message):
        make()


def test_a_decorator_without_its_brackets_is_reported_where_it_is_written() -> None:
    def view() -> str:
        return "in"

    with pytest.raises(MisuseError):
        requires(view)
    app = guarded_app()
    with pytest.raises((MisuseError, AttributeError, TypeError)):

        @app.route("/<int:id>")
        @requires
        def other(id: int) -> str:
            return "in"


# --- async ---------------------------------------------------------------------------------------


def test_an_async_view_is_guarded_and_answers(client: FlaskClient, tokens: Tokens) -> None:
    app = client.application

    @app.route("/view")
    @requires("article:edit")
    async def view() -> str:
        return current_identity.subject

    @app.route("/twice")
    @requires("article:read")
    @requires("article:edit")
    async def twice() -> str:
        with requires("article:edit"):
            return current_identity.subject

    class Later(MethodView):
        decorators = [requires("article:edit")]  # noqa: RUF012

        async def get(self) -> str:
            return current_identity.subject

        @requires(has_role("admin"))
        async def post(self) -> str:
            return current_identity.subject

    add_class(app, Later, "/class")
    for path in ("/view", "/twice", "/class"):
        assert statuses(client, path, tokens) == EDITORS
        assert get(client, path, tokens["alice"]).text == "alice"
    assert statuses(client, "/class", tokens, "POST") == [403, 403, 403, 200, 401, 401]


def test_what_a_refusal_calls_may_be_async(client: FlaskClient, tokens: Tokens) -> None:
    async def on_fail() -> Any:
        return "refused", 418

    view = requires("article:edit", on_fail=on_fail)(lambda: "in")
    client.application.add_url_rule("/", "view", view)
    assert statuses(client, "/", tokens) == [200, 418, 418, 200, 418, 418]


def test_a_partial_and_a_callable_object_are_views_like_any(
    client: FlaskClient, tokens: Tokens
) -> None:
    """SECURITY 1.30."""

    class Called:
        def __call__(self) -> str:
            return "in"

    def named(what: str) -> str:
        return what

    app = client.application
    app.add_url_rule("/p", "p", requires("article:edit")(functools.partial(named, "in")))
    app.add_url_rule("/c", "c", requires("article:edit")(Called()))
    assert statuses(client, "/p", tokens) == EDITORS
    assert statuses(client, "/c", tokens) == EDITORS


# --- what a refusal becomes ----------------------------------------------------------------------


def test_on_fail_is_a_response_or_a_function_of_the_views_arguments(
    client: FlaskClient, tokens: Tokens
) -> None:
    app = client.application
    app.add_url_rule("/v", "v", requires("article:edit", on_fail=("no", 418))(lambda: "in"))
    function = requires("article:edit", on_fail=lambda id: (f"no {id}", 418))
    app.add_url_rule("/f/<id>", "f", function(lambda id: "in"))
    text = requires("article:edit", on_fail="an empty page")
    app.add_url_rule("/t", "t", text(lambda: "in"))
    assert statuses(client, "/v", tokens) == [200, 418, 418, 200, 418, 418]
    assert get(client, "/f/7", tokens["bob"]).text == "no 7"
    assert get(client, "/f/7", tokens["alice"]).text == "in"
    assert get(client, "/t", tokens["bob"]).text == "an empty page"


def test_an_on_fail_that_is_empty_is_still_the_answer(client: FlaskClient, tokens: Tokens) -> None:
    app = client.application
    app.add_url_rule("/", "view", requires("article:edit", on_fail="")(lambda: "in"))
    assert get(client, "/", tokens["bob"]).text == ""


@pytest.mark.parametrize("throws", [Gone, Gone("gone for good"), LookupError, LookupError("x")])
def test_throws_is_an_exception_or_its_class(
    throws: Any, client: FlaskClient, tokens: Tokens
) -> None:
    app = client.application
    app.register_error_handler(LookupError, lambda error: ("looked up", 410))
    app.add_url_rule("/", "view", requires("article:edit", throws=throws)(lambda: "in"))
    assert statuses(client, "/", tokens) == [200, 410, 410, 200, 410, 410]


def test_an_exception_that_is_thrown_again_and_again_does_not_grow(
    client: FlaskClient, tokens: Tokens
) -> None:
    """A raised instance keeps its traceback, and so the frames of all its requests."""
    error = Gone("gone")
    view = requires("article:edit", throws=error)(lambda: "in")
    client.application.add_url_rule("/", "view", view)

    def length() -> int:
        count, trace = 0, error.__traceback__
        while trace is not None:
            count, trace = count + 1, trace.tb_next
        return count

    for _ in range(2):
        get(client, "/", tokens["bob"])
    before = length()
    for _ in range(20):
        get(client, "/", tokens["bob"])
    assert length() <= before


def test_a_response_that_is_given_again_and_again_does_not_grow(
    client: FlaskClient, tokens: Tokens
) -> None:
    """One object for all refusals: what is added to its headers stays there."""
    app = client.application
    with app.test_request_context():
        shared = make_response("no", 418)
    app.add_url_rule("/", "view", requires("article:edit", on_fail=shared)(lambda: "in"))
    sizes = [len(get(client, "/", tokens["bob"]).headers.getlist("Vary")) for _ in range(5)]
    assert sizes == [1] * 5


SAYS: dict[str, dict[str, Any]] = {
    "on_fail": {"on_fail": lambda *view, **kw: ("on_fail", 418)},
    "throws": {"throws": Gone},
}


def test_the_guards_own_settings_beat_the_extensions_and_each_falls_to_the_next() -> None:
    """on_fail, then throws, then the abort function, then the refusal; the guard's own first."""

    def none(*arguments: Any, **keywords: Any) -> None:
        return None

    def aborts(problem: Any) -> Any:
        return "aborted", 451

    own_on_fail, own_throws = ("own", 418), Gone
    cases: list[tuple[dict[str, Any], dict[str, Any], int]] = [
        ({"on_fail": own_on_fail, "throws": own_throws}, {}, 418),
        ({"on_fail": none, "throws": own_throws}, {}, 410),
        ({"on_fail": none}, {}, 403),
        ({}, {"on_fail": ("theirs", 402)}, 402),
        ({}, {"throws": NotFound}, 404),
        ({}, {"on_fail": none, "throws": NotFound}, 404),
        ({}, {"abort": aborts}, 451),
        ({}, {"abort": none}, 403),
        ({}, {"on_fail": ("theirs", 402), "throws": NotFound, "abort": aborts}, 402),
        ({}, {"on_fail": none, "throws": NotFound, "abort": aborts}, 404),
        ({}, {"on_fail": none, "abort": aborts}, 451),
        ({"on_fail": own_on_fail}, {"on_fail": ("theirs", 402), "abort": aborts}, 418),
        ({"throws": own_throws}, {"on_fail": ("theirs", 402), "abort": aborts}, 410),
        ({"on_fail": none}, {"on_fail": ("theirs", 402)}, 402),
        ({"on_fail": none, "throws": own_throws}, {"on_fail": ("theirs", 402)}, 410),
    ]
    for own, extension, expected in cases:
        app = guarded_app(authz=extension)
        app.add_url_rule("/d", "d", requires("article:edit", **own)(lambda: "in"))

        @app.route("/a")
        def asks(own: dict[str, Any] = own) -> str:
            authorize("article:edit", **own)
            return "in"

        @app.route("/w")
        def block(own: dict[str, Any] = own) -> str:
            with requires("article:edit", **own):
                return "in"

        client, token = app.test_client(), token_for(app, "bob", "viewer")
        found = [get(client, path, token).status_code for path in ("/d", "/a", "/w")]
        assert found == [expected] * 3, (own, extension)
        editor = token_for(app, "alice", "editor")
        assert get(client, "/d", editor).status_code == 200


def test_a_guard_of_a_blueprint_or_application_has_the_same_settings() -> None:
    app = guarded_app()
    guard(app, "article:edit", on_fail=lambda **view: (f"no {view}", 418))
    app.add_url_rule("/<id>", "view", lambda id: "in")
    client = app.test_client()
    assert get(client, "/7", token_for(app, "bob", "viewer")).text == "no {'id': '7'}"
    assert get(client, "/7", token_for(app, "alice", "editor")).text == "in"


@pytest.mark.parametrize("error", [ValueError, KeyError, NotFound])
def test_an_error_in_a_callback_of_a_refusal_lets_no_one_in(
    error: type[Exception], client: FlaskClient, tokens: Tokens
) -> None:
    client.application.logger.disabled = True

    def fail(**view: Any) -> Any:
        raise error

    view = requires("article:edit", on_fail=fail)(lambda: "in")
    client.application.add_url_rule("/", "view", view)
    expected = 404 if error is NotFound else 500
    assert statuses(client, "/", tokens) == [200, expected, expected, 200, expected, expected]


# --- hide ----------------------------------------------------------------------------------------


def hidden_app() -> Flask:
    app = guarded_app()
    view = requires(author, on=load, hide=True)(lambda id: jsonify(id=id))
    app.add_url_rule("/<int:id>", "view", view)

    @app.route("/inside/<int:id>")
    @requires()
    def inside(id: int) -> Any:
        article = load(id)
        authorize(author, on=article, hide=True)
        return jsonify(id=id)

    return app


@pytest.mark.parametrize("path", ["/{}", "/inside/{}"])
@pytest.mark.parametrize("handler", [None, "own"], ids=["plain", "own handler"])
def test_a_hidden_resource_looks_like_a_missing_one(path: str, handler: str | None) -> None:
    app = hidden_app()
    if handler:
        app.register_error_handler(404, lambda error: (f"{error.description}", 404, {"X-H": "1"}))
    client, token = app.test_client(), token_for(app, "alice")
    hidden, missing = (get(client, path.format(id), token) for id in (2, 3))
    assert get(client, path.format(1), token).status_code == 200
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert hidden.data == missing.data
    assert list(hidden.headers) == list(missing.headers)
    assert "WWW-Authenticate" not in hidden.headers
    assert b"author" not in hidden.data


def test_a_hidden_resource_equals_a_route_that_is_not_there_but_for_vary() -> None:
    app = hidden_app()
    client, token = app.test_client(), token_for(app, "alice")
    hidden, nowhere = get(client, "/2", token), get(client, "/no/such/route", token)
    assert hidden.data == nowhere.data
    without = [pair for pair in hidden.headers if pair[0] != "Vary"]
    assert without == list(nowhere.headers)


def test_hide_hides_from_the_identified_alone() -> None:
    app = hidden_app()
    response = app.test_client().get("/2")
    assert response.status_code == 401
    assert "WWW-Authenticate" in response.headers


# --- optional ------------------------------------------------------------------------------------


def test_an_optional_guard_lets_pass_who_brings_no_token_and_asks_who_does(
    client: FlaskClient, tokens: Tokens
) -> None:
    seen: list[Any] = []
    view = requires("article:edit", optional=True)(
        lambda: seen.append(bool(current_identity)) or "in"
    )
    client.application.add_url_rule("/", "view", view)
    assert statuses(client, "/", tokens) == [200, 403, 403, 200, 200, 401]
    assert seen == [True, True, False]


def test_optional_and_fresh_together(client: FlaskClient) -> None:
    app = client.application
    app.add_url_rule("/", "view", requires(optional=True, fresh=True)(lambda: "in"))
    assert client.get("/").status_code == 200
    assert get(client, "/", token_for(app)).status_code == 401
    assert get(client, "/", token_for(app, fresh=True)).status_code == 200


def test_authorize_and_with_can_ask_for_a_fresh_token(app: Flask) -> None:
    with app.test_request_context(headers=bearer(token_for(app))):
        with pytest.raises(NotIdentified) as refused:
            authorize(fresh=True)
        assert refused.value.problem.type == f"{TYPE}token-not-fresh"
    with app.test_request_context(headers=bearer(token_for(app, fresh=True))):
        assert authorize(fresh=True).subject == "alice"


# --- faults in requirements ----------------------------------------------------------------------


class Fails(Requirement):
    """Raises, or answers, what it was made with."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome

    def fulfill(self, identity: Any) -> Any:
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


OUTCOMES = [
    ValueError("x"),
    TypeError("x"),
    KeyError("x"),
    AttributeError("x"),
    RecursionError("x"),
    MemoryError("x"),
    AssertionError("x"),
    StopIteration("x"),
    NotImplementedError("x"),
    MisuseError("x"),
    NotFound("x"),
    HTTPException(response=None),
    NotAllowed,
    None,
    1,
    0,
    "",
    "yes",
    [],
    [True],
    object(),
    NotImplemented,
]


@pytest.mark.slow
@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda o: f"{type(o).__name__} {str(o)[:10]}")
@pytest.mark.parametrize(
    "tree",
    [
        lambda bad: bad,
        lambda bad: ~bad,
        lambda bad: ~~bad,
        lambda bad: bad | has_role("viewer"),
        lambda bad: has_role("viewer") & bad,
        lambda bad: ~(bad & has_role("viewer")),
        lambda bad: ~(has_role("admin") | bad),
    ],
    ids=["it", "~it", "~~it", "it | yes", "yes & it", "~(it & yes)", "~(no | it)"],
)
def test_a_requirement_that_fails_refuses_wherever_it_stands(
    outcome: Any, tree: Callable[[Requirement], Requirement], client: FlaskClient, tokens: Tokens
) -> None:
    app = client.application
    asked = tree(Fails(outcome))
    app.add_url_rule("/d", "d", requires(asked)(lambda: "in"))
    app.add_url_rule("/o", "o", requires(asked, optional=True)(lambda: "in"))
    app.add_url_rule("/a", "a", lambda: ("in", 200) if allowed(asked) else ("out", 403))
    for path in ("/d", "/o", "/a"):
        assert get(client, path, tokens["bob"]).status_code == 403


def test_a_decision_is_an_answer_too(client: FlaskClient, tokens: Tokens) -> None:
    @requirement
    def passes_on(identity: Identity) -> Decision:
        return has_role("editor").evaluate(identity)

    client.application.add_url_rule("/", "view", requires(passes_on)(lambda: "in"))
    assert statuses(client, "/", tokens) == EDITORS


@pytest.mark.parametrize("turned", [False, True], ids=["plain", "under ~"])
def test_a_store_that_does_not_answer_is_503_for_every_verb(
    turned: bool, client: FlaskClient, tokens: Tokens
) -> None:
    """SECURITY 1.28."""
    app = client.application
    broken = Fails(StoreUnavailable("the database is at 10.0.0.1"))
    asked = ~broken if turned else broken
    app.add_url_rule("/d", "d", requires(asked)(lambda: "in"))
    app.add_url_rule("/o", "o", requires(asked, optional=True)(lambda: "in"))
    app.add_url_rule("/h", "h", requires(asked, hide=True)(lambda: "in"))
    app.add_url_rule("/a", "a", lambda: authorize(asked) and "in")
    app.add_url_rule("/q", "q", lambda: "in" if allowed(asked) else "out")
    app.add_url_rule("/n", "n", lambda: "in" if not allowed(asked) else "out")
    for path in ("/d", "/o", "/h", "/a", "/q", "/n"):
        response = get(client, path, tokens["bob"])
        assert response.status_code == 503, path
        assert int(response.headers["Retry-After"]) > 0
        assert response.mimetype == PROBLEM
        assert response.get_json()["type"] == f"{TYPE}authorization-unavailable"
        assert b"10.0.0.1" not in response.data
        assert "WWW-Authenticate" not in response.headers


@pytest.mark.parametrize("loader", ["identity", "user", "blocklist", "key"])
def test_a_store_behind_a_callback_that_does_not_answer_is_503(
    loader: str, client: FlaskClient, tokens: Tokens
) -> None:
    app = client.application
    manager = app.extensions["flask-jwt-extended"]

    def unavailable(first: Any, second: Any) -> Any:
        raise StoreUnavailable

    if loader == "identity":
        app.extensions["jwt_authz"].identity_loader(unavailable)
    else:
        name = {
            "user": "user_lookup_loader",
            "blocklist": "token_in_blocklist_loader",
            "key": "decode_key_loader",
        }[loader]
        getattr(manager, name)(unavailable)
    app.add_url_rule("/d", "d", requires()(lambda: "in"))
    app.add_url_rule("/n", "n", lambda: "in" if not allowed() else "out")
    for path in ("/d", "/n"):
        assert get(client, path, tokens["alice"]).status_code == 503


def test_the_store_test_would_notice_an_unavailable_store_taken_for_a_no(
    client: FlaskClient, tokens: Tokens
) -> None:
    """The negative control: an error that is not `StoreUnavailable` is False to `allowed`."""
    broken = Fails(OSError("x"))
    client.application.add_url_rule("/n", "n", lambda: "in" if not allowed(broken) else "out")
    assert get(client, "/n", tokens["bob"]).text == "in"


# --- one request, several questions --------------------------------------------------------------


def test_one_guard_may_be_used_for_many_views_and_blocks(
    client: FlaskClient, tokens: Tokens
) -> None:
    shared = requires("article:edit")
    app = client.application
    for name in ("one", "two"):
        app.add_url_rule(f"/{name}", name, shared(functools.partial(lambda n: n, name)))

    @app.route("/block")
    def block() -> str:
        with shared, shared:
            return "in"

    for path in ("/one", "/two", "/block"):
        assert statuses(client, path, tokens) == EDITORS


def test_what_is_raised_in_a_block_goes_through_it(app: Flask) -> None:
    with app.test_request_context(headers=bearer(token_for(app))):
        with pytest.raises(ZeroDivisionError), requires():
            raise ZeroDivisionError
        assert allowed()


def test_a_guarded_function_may_be_called_from_a_view(client: FlaskClient, tokens: Tokens) -> None:
    """Not a view itself: the guard asks about the request all the same."""

    @requires("article:edit")
    def edit(title: str) -> str:
        return f"{title} by {current_identity.subject}"

    client.application.add_url_rule("/", "view", lambda: edit("x"))
    assert statuses(client, "/", tokens) == EDITORS
    assert get(client, "/", tokens["alice"]).text == "x by alice"


def test_a_guard_reads_like_the_source() -> None:
    shown = requires(has_role("editor") & ~has_permission("article:edit"))
    assert repr(shown) == "requires(has_role('editor') & ~has_permission('article:edit'))"
    mapped = requires({"GET": "article:read"})
    assert repr(mapped) == "requires({GET: has_permission('article:read')})"


def test_the_templates_of_an_application_may_ask(client: FlaskClient, tokens: Tokens) -> None:
    from flask import render_template_string

    app = client.application
    text = "{% if allowed('article:edit') %}edit{% else %}read{% endif %}"
    app.add_url_rule("/", "view", requires()(lambda: render_template_string(text)))
    assert get(client, "/", tokens["alice"]).text == "edit"
    assert get(client, "/", tokens["bob"]).text == "read"


@pytest.mark.parametrize("method", ["QUERY", "PROPFIND", "GET\0", "GETX", "X" * 1_000])
def test_a_method_nobody_knows_meets_no_entry_of_a_mapping(
    method: str, client: FlaskClient, tokens: Tokens
) -> None:
    guarded = requires({"GET": "article:read"})
    client.application.add_url_rule(
        "/", "view", guarded(lambda: request.method), methods=["GET", "QUERY", "PROPFIND"]
    )
    response = client.open("/", method=method, headers=bearer(str(tokens["dora"])))
    assert response.status_code in (403, 405)


def test_a_hidden_resource_is_answered_as_one_that_is_missing_whatever_the_loader_says(
    client: FlaskClient, tokens: Tokens
) -> None:
    def load(id: int) -> str:
        if id != 1:
            abort(404, "There is no such article.")
        return "article"

    guarded = requires(has_role("admin"), on=load, hide=True)
    client.application.add_url_rule("/<int:id>", "view", guarded(lambda id: "in"))
    hidden, missing = (get(client, path, tokens["bob"]) for path in ("/1", "/2"))
    assert (hidden.status_code, hidden.data) == (missing.status_code, missing.data)
    assert hidden.status_code == 404
    assert dict(hidden.headers) == dict(missing.headers)


@pytest.mark.parametrize("fresh", [None, 0, 300, 5.0, "5 minutes", timedelta(), -timedelta(1)])
def test_a_freshness_that_is_neither_true_nor_a_time_is_reported(fresh: Any) -> None:
    with pytest.raises(MisuseError, match=r"timedelta\(minutes=5\)"):
        requires(fresh=fresh)


@pytest.mark.parametrize(
    ("auth_time", "status"),
    [
        (-240, 200),
        (-301, 401),
        (30, 200),  # clocks differ
        (90, 401),
        (..., 401),
        (None, 401),
        ("now", 401),
        (True, 401),
        ([], 401),
        (10**400, 401),
    ],
)
def test_auth_time_decides_whether_a_log_in_is_recent(auth_time: Any, status: int) -> None:
    app = guarded_app()
    app.add_url_rule("/", "view", requires(fresh=timedelta(minutes=5))(lambda: "in"))
    if isinstance(auth_time, int) and abs(auth_time) > 1:
        auth_time += int(time.time())
    claims = {} if auth_time is ... else {"auth_time": auth_time}
    token = token_for(app, claims=claims)
    assert get(app.test_client(), "/", token).status_code == status


def test_freshness_of_a_given_identity_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match="fresh= needs a token"):
        requires(identity=Identity("ada"), fresh=True)


# --- what has to come out again each time ---------------------------------------------------------


def test_a_decision_follows_each_of_its_inputs_on_the_next_request(client: FlaskClient) -> None:
    """SECURITY 1.21: the same view asked again, with one thing changed at a time."""
    app, owner = client.application, {"name": "alice"}

    @requirement("owns it, and asks from the office")
    def owns(identity: Identity, thing: str) -> bool:
        return thing == f"{identity.subject}|a" and request.headers.get("X-Office") == "yes"

    named = requires("article:read", owns, on=lambda name: f"{owner['name']}|{name}")
    app.add_url_rule("/things/<name>", "thing", named(lambda name: "in"))

    def asked(name: str = "a", office: str = "yes", subject: str = "alice", *roles: str) -> int:
        token = token_for(app, subject, *(roles or ("viewer",)))
        return get(client, f"/things/{name}", token, headers={"X-Office": office}).status_code

    for _ in ("cold", "warm"):
        assert asked() == 200
        assert asked(name="b") == 403
        assert asked(office="no") == 403
        assert asked(subject="alic") == 403
        assert asked(subject="alice|a") == 403
        assert asked("a", "yes", "alice", "nobody") == 403
        owner["name"] = "bob"
        assert asked() == 403
        owner["name"] = "alice"
    assert asked() == 200


# --- tenants, clients, and how someone logged in ------------------------------------------------


def test_a_token_of_one_tenant_does_not_open_what_belongs_to_another(client: FlaskClient) -> None:
    """SECURITY 1.41, 2.33: every tenant's token at every tenant's route, of one role name."""
    app = client.application

    @requirement("belongs to this tenant")
    def belongs(identity: Identity, tenant: str) -> bool:
        return identity.tenant == tenant

    guarded = requires("article:read", belongs, on=lambda tenant: tenant)
    app.add_url_rule("/<tenant>/articles", "articles", guarded(lambda tenant: tenant))
    tenants = ("north", "north2", "North", "south")
    tokens = {t: token_for(app, "alice", "viewer", claims={"tenant": t}) for t in tenants}
    tokens["of none"] = token_for(app, "alice", "viewer")
    for _ in ("cold", "warm"):
        for mine, token in tokens.items():
            for theirs in tenants:
                status = get(client, f"/{theirs}/articles", token).status_code
                assert status == (200 if mine == theirs else 403), (mine, theirs)


def test_a_token_has_its_subjects_rights_and_none_of_its_clients(client: FlaskClient) -> None:
    """SECURITY 2.32: the client is the subject where it asks for itself, and is not a user then."""
    app = client.application
    app.add_url_rule("/edit", "edit", requires("article:edit")(lambda: current_identity.subject))
    by_admins_client = token_for(app, "bob", "viewer", claims={"client_id": "admin"})
    for_itself = token_for(app, "admin", claims={"client_id": "admin", "scope": "article:edit"})
    for token in (by_admins_client, for_itself):
        assert get(client, "/edit", token).status_code == 403
    by_any_client = token_for(app, "eve", "editor", claims={"client_id": "bob"})
    assert get(client, "/edit", by_any_client).text == "eve"


def test_a_guard_may_ask_how_and_when_someone_logged_in(client: FlaskClient) -> None:
    """SECURITY 2.44: a token that does not say it counts as the weakest, also under `~`."""
    app = client.application

    @requirement("logged in by two factors, and lately")
    def recently(identity: Identity) -> bool:
        return "mfa" in identity.claims["amr"] and identity.claims["auth_time"] > 1_000

    app.add_url_rule("/acr", "acr", requires(has_claim("acr", "gold"))(lambda: "in"))
    app.add_url_rule("/not", "not", requires(~has_claim("acr", "bronze"))(lambda: "in"))
    app.add_url_rule("/lately", "lately", requires(recently)(lambda: "in"))
    app.add_url_rule("/long-ago", "long_ago", requires(~recently)(lambda: "in"))
    reported: dict[str, Any] = {"acr": "gold", "amr": ["pwd", "mfa"], "auth_time": 2_000}

    def opened(claims: dict[str, Any]) -> list[str]:
        token = token_for(app, "alice", claims=claims)
        paths = ("/acr", "/not", "/lately", "/long-ago")
        return [path for path in paths if get(client, path, token).status_code == 200]

    assert opened(reported) == ["/acr", "/not", "/lately"]
    assert opened({}) == []
    assert opened({**reported, "acr": "bronze", "amr": ["pwd"]}) == ["/long-ago"]
    assert opened({**reported, "acr": "Gold"}) == ["/not", "/lately"]
    assert opened({**reported, "amr": None}) == ["/acr", "/not"]
    assert opened({**reported, "auth_time": "2000"}) == ["/acr", "/not"]
