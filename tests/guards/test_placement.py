"""Where guards stand: blueprints, the application, what is exempt, and deny by default."""

from __future__ import annotations

from functools import lru_cache, wraps
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, abort, jsonify, request
from flask.testing import FlaskClient
from flask.views import MethodView, View
from flask_caching import Cache
from werkzeug.test import TestResponse

from jwt_authz import (
    Authz,
    MisuseError,
    current_identity,
    exempt,
    guard,
    has_claim,
    has_role,
    requires,
)
from jwt_authz.guards import placement as places
from jwt_authz.inspection import check as inspection
from tests.edge import bare_app, bearer, catalog, get, guarded_app, token_for


def text_view(text: str = "in") -> Any:
    def view(**arguments: Any) -> str:
        return text

    return view


def build(*, default: str = "allow", static: Path | None = None, **config: Any) -> Flask:
    """An application with a folder of static files, if one is given."""
    app = Flask("places", static_folder=str(static) if static else None, static_url_path="/static")
    app.config.update(bare_app().config)
    app.config.update(config)
    Authz(app, roles=catalog(), default=default)
    return app


def editor(app: Flask) -> str:
    return token_for(app, "alice", "editor")


def viewer(app: Flask) -> str:
    return token_for(app, "bob", "viewer")


def three(client: FlaskClient, path: str, method: str = "GET") -> tuple[int, ...]:
    """What an editor, a viewer and nobody are answered."""
    app = client.application
    return tuple(
        client.open(path, method=method, headers=headers, buffered=True).status_code
        for headers in (bearer(editor(app)), bearer(viewer(app)), {})
    )


EDITORS, VIEWERS, ALL, NONE = (200, 403, 401), (200, 200, 401), (200, 200, 200), (403, 403, 401)


# --- blueprints ----------------------------------------------------------------------------------


def test_a_guard_on_a_blueprint_holds_for_all_its_views_and_for_no_others() -> None:
    app = guarded_app()
    inside, outside = Blueprint("inside", "inside"), Blueprint("outside", "outside")
    guard(inside, "article:edit")
    for blueprint in (inside, outside):
        blueprint.add_url_rule("/", "view", text_view(), methods=["GET", "POST"])
        app.register_blueprint(blueprint, url_prefix=f"/{blueprint.name}")
    app.add_url_rule("/", "view", text_view())
    client = app.test_client()
    assert three(client, "/inside/") == three(client, "/inside/", "POST") == EDITORS
    assert three(client, "/outside/") == three(client, "/") == ALL


def test_the_guards_of_a_nested_blueprint_its_parents_and_the_view_all_hold() -> None:
    app = guarded_app()
    parent, child = Blueprint("parent", "parent"), Blueprint("child", "child")
    grandchild = Blueprint("grandchild", "grandchild")
    guard(parent, "article:read")
    guard(grandchild, "article:edit")
    parent.add_url_rule("/", "view", text_view())
    child.add_url_rule("/", "view", text_view())
    child.add_url_rule("/alice", "alice", requires(has_claim("sub", "alice"))(text_view()))
    grandchild.add_url_rule("/", "view", text_view())
    child.register_blueprint(grandchild, url_prefix="/g")
    parent.register_blueprint(child, url_prefix="/c")
    app.register_blueprint(parent, url_prefix="/p")
    client, roleless = app.test_client(), token_for(app, "carol")
    assert three(client, "/p/") == three(client, "/p/c/") == VIEWERS
    assert three(client, "/p/c/alice") == three(client, "/p/c/g/") == EDITORS
    for path in ("/p/", "/p/c/", "/p/c/alice", "/p/c/g/"):
        assert get(client, path, roleless).status_code == 403


def test_a_blueprint_registered_twice_is_guarded_both_times() -> None:
    app = guarded_app()
    blueprint = Blueprint("b", "b")
    guard(blueprint, "article:edit")
    blueprint.add_url_rule("/", "view", text_view())
    app.register_blueprint(blueprint, url_prefix="/one")
    app.register_blueprint(blueprint, url_prefix="/two", name="other")
    client = app.test_client()
    assert three(client, "/one/") == three(client, "/two/") == EDITORS


def test_one_blueprint_in_two_applications_asks_each_ones_catalog() -> None:
    blueprint = Blueprint("b", "b")
    guard(blueprint, "article:edit")
    blueprint.add_url_rule("/", "view", text_view())
    for _ in range(2):
        app = guarded_app()
        app.register_blueprint(blueprint)
        assert three(app.test_client(), "/") == EDITORS


def test_several_guards_on_one_blueprint_all_hold() -> None:
    app = guarded_app()
    blueprint = Blueprint("b", "b")
    guard(blueprint, "article:read")
    guard(blueprint, has_claim("sub", "bob"))
    blueprint.add_url_rule("/", "view", text_view())
    app.register_blueprint(blueprint)
    assert three(app.test_client(), "/") == (403, 200, 401)


def test_a_mapping_on_a_blueprint_holds_by_method() -> None:
    app = guarded_app()
    blueprint = Blueprint("b", "b")
    guard(blueprint, {"GET": "article:read", "POST": "article:edit"})
    blueprint.add_url_rule("/", "view", text_view(), methods=["GET", "POST", "PUT"])

    class WithHead(MethodView):
        def get(self) -> str:
            return "get"

        def head(self) -> str:
            return "head"

    blueprint.add_url_rule("/head", view_func=WithHead.as_view("head"))
    app.register_blueprint(blueprint)
    client = app.test_client()
    assert three(client, "/") == three(client, "/", "HEAD") == VIEWERS
    assert three(client, "/", "POST") == EDITORS
    assert three(client, "/", "PUT") == NONE
    assert three(client, "/head") == VIEWERS
    assert three(client, "/head", "HEAD") == NONE
    assert three(client, "/", "OPTIONS") == ALL


def test_a_guard_on_a_registered_blueprint_is_a_misuse() -> None:
    app = guarded_app()
    blueprint = Blueprint("late", "late")
    app.register_blueprint(blueprint)
    with pytest.raises(MisuseError, match="'late' is already in use: call guard"):
        guard(blueprint, "article:edit")


def test_a_guard_on_an_application_that_already_answers_is_a_misuse() -> None:
    app = guarded_app()
    app.test_client().get("/")
    with pytest.raises(MisuseError, match="is already in use"):
        guard(app, "article:edit")


# --- the application -----------------------------------------------------------------------------


def test_a_guard_on_the_application_holds_for_every_view(tmp_path: Path) -> None:
    (tmp_path / "style.css").write_text("body {}")
    app = build(static=tmp_path)
    guard(app, "article:edit")
    blueprint = Blueprint("b", "b")
    blueprint.add_url_rule("/b", "view", text_view())
    app.register_blueprint(blueprint)
    app.add_url_rule("/", "view", text_view(), methods=["GET", "POST"])
    client = app.test_client()
    assert three(client, "/") == three(client, "/b") == three(client, "/", "POST") == EDITORS
    assert three(client, "/", "HEAD") == EDITORS
    assert three(client, "/static/style.css") == ALL
    assert three(client, "/static/none.css") == (404,) * 3
    assert three(client, "/nowhere") == (404,) * 3
    assert three(client, "/", "DELETE") == (405,) * 3
    assert three(client, "/", "OPTIONS") == ALL


def test_only_flasks_own_static_endpoint_passes(tmp_path: Path) -> None:
    (tmp_path / "x.css").write_text("x")
    app = build()  # no static folder, so `static` is a name like any other
    guard(app, "article:edit")
    app.add_url_rule("/static/<name>", "static", text_view())
    own = Blueprint("own", "own")
    own.add_url_rule("/own/static", "static", text_view())
    files = Blueprint("files", "files", static_folder=str(tmp_path), static_url_path="/f")
    sneaky = Blueprint("sneaky", "sneaky")
    sneaky.add_url_rule("/sneaky", "notstatic", text_view())
    for blueprint in (own, files, sneaky):
        app.register_blueprint(blueprint)
    client = app.test_client()
    assert three(client, "/static/x") == EDITORS
    assert three(client, "/own/static") == EDITORS
    assert three(client, "/sneaky") == EDITORS
    assert three(client, "/f/x.css") == ALL


def test_with_everything_open_by_default_nothing_is_put_before_requests() -> None:
    app = guarded_app()
    assert app.before_request_funcs == {}
    assert app.after_request_funcs == {}
    app.add_url_rule("/", "view", text_view())
    response = app.test_client().get("/")
    assert response.status_code == 200
    assert not response.vary


# --- exempt --------------------------------------------------------------------------------------


class Both(MethodView):
    def get(self) -> str:
        return "get"

    @exempt
    def post(self) -> str:
        return "post"


@exempt
class Open(MethodView):
    def get(self) -> str:
        return "get"

    @requires("article:edit")
    def post(self) -> str:
        return "post"


class Heir(Open):
    pass


@pytest.fixture(params=["application", "blueprint", "default"])
def inside(request: pytest.FixtureRequest) -> Any:
    """An application whose views are guarded in one of three ways, and a place to add them."""
    app = build(default="deny" if request.param == "default" else "allow")
    if request.param == "application":
        guard(app, has_role("editor"))
        return app, app
    blueprint = Blueprint("b", "b")
    if request.param == "blueprint":
        guard(blueprint, has_role("editor"))
    return app, blueprint


def start(app: Flask, place: Any) -> FlaskClient:
    if place is not app:
        app.register_blueprint(place)
    return app.test_client()


def closed(app: Flask, place: Any) -> tuple[int, ...]:
    """What a view of which nothing was said answers there."""
    denies = not app.before_request_funcs.get(getattr(place, "name", None)) and place is not app
    return NONE if denies else EDITORS


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bare views under deny fail the check at the first request; here each must hold by itself."""
    monkeypatch.setattr(inspection, "check", lambda parts: [])


def test_exempt_lifts_the_guards_around_a_view(inside: Any, unchecked: None) -> None:
    app, place = inside
    place.add_url_rule("/open", "open", exempt(text_view()))
    place.add_url_rule("/closed", "closed", text_view())
    client = start(app, place)
    assert three(client, "/open") == three(client, "/open", "HEAD") == ALL
    assert three(client, "/closed") == closed(app, place)


def test_exempt_never_lifts_a_guard_on_the_view_itself(inside: Any, unchecked: None) -> None:
    app, place = inside
    inner = requires(has_claim("sub", "bob"))
    place.add_url_rule("/above", "above", exempt(inner(text_view())))
    place.add_url_rule("/below", "below", inner(exempt(text_view())))
    client = start(app, place)
    assert three(client, "/above") == three(client, "/below") == (403, 200, 401)


def test_exempt_on_one_method_lifts_nothing_from_the_others(inside: Any, unchecked: None) -> None:
    app, place = inside
    place.add_url_rule("/", view_func=Both.as_view("both"))
    client = start(app, place)
    assert three(client, "/", "POST") == ALL
    assert three(client, "/") == three(client, "/", "HEAD") == closed(app, place)


def test_exempt_on_a_class_means_its_own_methods_and_not_its_subclasses(
    inside: Any, unchecked: None
) -> None:
    app, place = inside
    place.add_url_rule("/open", view_func=Open.as_view("open"))
    place.add_url_rule("/heir", view_func=Heir.as_view("heir"))
    client = start(app, place)
    assert three(client, "/open") == ALL
    assert three(client, "/open", "POST") == EDITORS
    assert three(client, "/heir") == closed(app, place)


def test_exempt_takes_an_endpoints_name(inside: Any, unchecked: None) -> None:
    app, place = inside
    place.add_url_rule("/open", "open", text_view())
    place.add_url_rule("/open/guarded", "guarded", requires("article:edit")(text_view()))
    place.add_url_rule("/closed", "closed", text_view())
    prefix = "" if place is app else f"{place.name}."
    assert exempt(f"{prefix}open", app) == f"{prefix}open"
    with app.app_context():
        exempt(f"{prefix}guarded")
    client = start(app, place)
    assert three(client, "/open") == ALL
    assert three(client, "/open/guarded") == EDITORS
    assert three(client, "/closed") == closed(app, place)


def test_exempt_on_a_blueprint_means_its_own_views_and_not_nested_ones(unchecked: None) -> None:
    app = build()
    guard(app, "article:edit")
    parent, child = exempt(Blueprint("parent", "parent")), Blueprint("child", "child")
    parent.add_url_rule("/parent", "view", text_view())
    child.add_url_rule("/child", "view", text_view())
    parent.register_blueprint(child)
    app.register_blueprint(parent)
    client = app.test_client()
    assert three(client, "/parent") == ALL
    assert three(client, "/child") == EDITORS


def test_exempt_on_one_application_leaves_another_alone() -> None:
    apps = [build(), build()]
    for app in apps:
        guard(app, "article:edit")
        app.add_url_rule("/", "view", text_view())
    exempt("view", apps[0])
    assert three(apps[0].test_client(), "/") == ALL
    assert three(apps[1].test_client(), "/") == EDITORS


def test_exempt_returns_what_it_was_given() -> None:
    view, blueprint = text_view(), Blueprint("b", "b")
    assert exempt(view) is view
    assert exempt(blueprint) is blueprint
    assert exempt(Both) is Both
    del Both.__jwt_authz_exempt__  # type: ignore[attr-defined]


@pytest.mark.parametrize("what", [1, None, [], {"view": 1}], ids=repr)
def test_exempt_on_what_cannot_be_exempt_is_a_misuse(what: Any) -> None:
    with pytest.raises(MisuseError, match="exempt takes a view, class, method, blueprint or name"):
        exempt(what)


def test_exempt_by_name_without_an_application_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match="There is no application"):
        exempt("view")
    with pytest.raises(MisuseError, match="has no Authz"):
        exempt("view", bare_app())


def test_exempt_on_what_holds_no_mark_says_to_use_the_name() -> None:
    with pytest.raises(MisuseError, match=r"write exempt\('its.endpoint', app\)"):
        exempt(len)


# --- deny by default -----------------------------------------------------------------------------


def test_a_view_with_neither_guard_nor_exempt_is_refused_by_default(unchecked: None) -> None:
    """SECURITY 2.27."""
    app = build(default="deny")
    app.add_url_rule("/bare", "bare", text_view(), methods=["GET", "POST"])
    app.add_url_rule("/known", "known", requires()(text_view()))
    app.add_url_rule("/edit", "edit", requires("article:edit")(text_view()))
    client = app.test_client()
    assert three(client, "/bare") == three(client, "/bare", "POST") == NONE
    assert three(client, "/bare", "HEAD") == NONE
    assert three(client, "/known") == VIEWERS
    assert three(client, "/edit") == EDITORS


def test_a_method_without_a_guard_is_refused_beside_one_that_has_one(unchecked: None) -> None:
    class Half(MethodView):
        @requires("article:read")
        def get(self) -> str:
            return "get"

        def post(self) -> str:
            return "post"

    app = build(default="deny")
    app.add_url_rule("/", view_func=Half.as_view("half"))
    client = app.test_client()
    assert three(client, "/") == three(client, "/", "HEAD") == VIEWERS
    assert three(client, "/", "POST") == NONE


def test_a_guard_above_the_route_decorator_does_not_count_under_deny(unchecked: None) -> None:
    app = build(default="deny")

    @requires()
    @app.route("/")
    def view() -> str:
        return "in"

    assert three(app.test_client(), "/") == NONE


def test_what_flask_answers_itself_passes_under_deny(tmp_path: Path, unchecked: None) -> None:
    (tmp_path / "style.css").write_text("body {}")
    app = build(default="deny", static=tmp_path)
    app.add_url_rule("/bare", "bare", text_view())
    client = app.test_client()
    assert three(client, "/static/style.css") == ALL
    assert three(client, "/nowhere") == (404,) * 3
    assert three(client, "/bare", "DELETE") == (405,) * 3
    assert three(client, "/bare", "OPTIONS") == ALL


def test_an_options_view_of_ones_own_is_refused_under_deny_too(unchecked: None) -> None:
    app = build(default="deny")
    app.add_url_rule("/own", "own", text_view(), methods=["GET", "OPTIONS"])
    assert three(app.test_client(), "/own", "OPTIONS") == NONE


def test_a_preflight_answered_before_the_guard_passes(unchecked: None) -> None:
    app = Flask("preflight")
    app.config.update(bare_app().config)

    @app.before_request
    def preflight() -> Any:
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return "", 204
        return None

    Authz(app, roles=catalog(), default="deny")
    guard(app, "article:edit")
    app.add_url_rule("/", "view", text_view(), methods=["GET", "OPTIONS"])
    client = app.test_client()
    headers = {"Access-Control-Request-Method": "GET", "Origin": "https://a.example"}
    assert client.options("/", headers=headers).status_code == 204
    assert three(client, "/", "OPTIONS") == EDITORS
    assert three(client, "/") == EDITORS


# --- the path zoo --------------------------------------------------------------------------------


def zoo(merge: bool = True, guarded: bool = True) -> Flask:
    app = build()
    app.url_map.merge_slashes = merge
    blueprint = Blueprint("admin", "admin")
    if guarded:
        guard(blueprint, "article:edit")
    blueprint.add_url_rule("/", "index", text_view("secret"))
    blueprint.add_url_rule("/users", "users", text_view("secret"))
    blueprint.add_url_rule("/users/<path:rest>", "rest", text_view("secret"))
    app.register_blueprint(blueprint, url_prefix="/admin")
    app.add_url_rule(
        "/loose", "loose", requires("article:edit")(text_view("secret")), strict_slashes=False
    )
    app.add_url_rule("/", "home", text_view("home"))
    app.add_url_rule("/<path:rest>", "anything", text_view("anything"))
    return app


PATHS = (
    *("/admin", "/admin/", "//admin/", "/admin//", "/admin/users", "/admin//users"),
    *("/admin/users/", "/./admin/users", "/admin/./users", "/admin/../admin/users"),
    *("/x/../admin/users", "/%61dmin/users", "/admin%2fusers", "/admin%2Fusers", "/admin%5cusers"),
    *(
        "/admin/users;x=1",
        "/admin;x/users",
        "/admin/users%00",
        "/admin/users%0a",
        "/admin%0a/users",
    ),
    *("/admin/users%20", "/ADMIN/users", "/Admin/Users", "/admin/users.json", "/admin/users?x=/"),
    *("/admin/users#x", "/admin/users/%2e%2e", "/admin/users/..", "/admin/users/../../"),
    *("/loose", "/loose/", "//loose", "/loose//", "/loose%2f", "/loose;x", "/\\loose", "/loose\\"),
    *(
        "/%2fadmin/users",
        "/admin/us%65rs",
        "/admin/users/a/b/c",
        "/admin/users%ff",
        "/\uff41dmin/users",
    ),
)


@pytest.mark.parametrize("path", PATHS)
def test_no_spelling_of_a_path_gets_past_its_guard(path: str) -> None:
    """SECURITY 1.29."""
    for merge in (True, False):
        client = zoo(merge).test_client()
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            response = client.open(path, method=method, follow_redirects=True)
            assert response.text != "secret"
            assert response.status_code in (200, 401, 404, 405)
            if response.status_code == 200:
                assert response.text in ("home", "anything", "")


def test_the_test_of_spellings_would_notice_a_blueprint_without_its_guard() -> None:
    """The negative control: many of the spellings do lead there."""
    client = zoo(guarded=False).test_client()
    found = [path for path in PATHS if client.get(path, follow_redirects=True).text == "secret"]
    assert len(found) > 8


@pytest.mark.parametrize("root", ["", "/", "/app", "/admin", "//", "/app/"])
def test_a_mount_prefix_does_not_move_a_guard(root: str) -> None:
    """SECURITY 1.29."""
    client = zoo().test_client()
    for path in ("/admin/users", "/loose", "/admin/"):
        environ = {"SCRIPT_NAME": root, "PATH_INFO": path}
        response = client.get(path, environ_overrides=environ)
        assert response.status_code == 401
        assert response.text != "secret"


@pytest.mark.parametrize(
    "header",
    ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-Forwarded-Path", "X-Script-Name"],
)
def test_a_header_that_names_another_path_has_no_effect(header: str) -> None:
    """SECURITY 1.29, 2.58."""
    client = zoo().test_client()
    for path in ("/admin/users", "/loose"):
        assert client.get(path, headers={header: "/"}).status_code == 401
        assert client.get("/", headers={header: path}).text == "home"


def test_subdomains_and_hosts_are_guarded_by_endpoint() -> None:
    """SECURITY 1.29."""
    app = Flask("hosts", subdomain_matching=True)
    app.config.update(bare_app().config, SERVER_NAME="example.org")
    Authz(app, roles=catalog())
    blueprint = Blueprint("admin", "admin", subdomain="admin")
    guard(blueprint, "article:edit")
    blueprint.add_url_rule("/", "view", text_view("secret"))
    app.register_blueprint(blueprint)
    app.add_url_rule("/", "home", text_view("home"))
    client = app.test_client()
    for host in ("admin.example.org", "ADMIN.example.org", "admin.example.org:80"):
        response = client.get("/", base_url=f"http://{host}")
        assert response.text != "secret"
        assert response.status_code in (401, 404, 400)
    assert client.get("/", base_url="http://admin.example.org").status_code == 401
    assert client.get("/", base_url="http://example.org").text == "home"
    spoofed = client.get(
        "/", headers={"X-Forwarded-Host": "example.org"}, base_url="http://admin.example.org"
    )
    assert spoofed.status_code == 401


def test_a_method_override_has_no_effect() -> None:
    """SECURITY 1.29, 2.58."""
    app = build()
    guarded = requires({"GET": "article:read", "DELETE": "article:edit"})
    app.add_url_rule("/", "view", guarded(lambda: request.method), methods=["GET", "DELETE"])
    client, token = app.test_client(), viewer(app)
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"):
        headers = {**bearer(token), name: "GET"}
        assert client.delete("/", headers=headers).status_code == 403
        assert client.delete("/?_method=GET", headers=headers).status_code == 403


def test_one_view_on_two_paths_is_guarded_on_both() -> None:
    app = build()
    view = requires("article:edit")(text_view())
    app.add_url_rule("/one", "view", view)
    app.add_url_rule("/two", "view", view)
    app.add_url_rule("/three", "other", view)
    client = app.test_client()
    assert three(client, "/one") == three(client, "/two") == three(client, "/three") == EDITORS


def test_a_redirect_of_flask_tells_nothing_and_its_target_is_guarded() -> None:
    app = build()
    blueprint = Blueprint("admin", "admin", url_prefix="/admin")
    guard(blueprint, "article:edit")
    blueprint.add_url_rule("/list/", "list", text_view("secret"))
    app.register_blueprint(blueprint)
    client = app.test_client()
    response = client.get("/admin/list")
    assert response.status_code in (308, 401)
    assert client.get("/admin/list", follow_redirects=True).status_code == 401


# --- what is read of an application --------------------------------------------------------------


def test_the_guards_of_a_place_are_listed_in_the_order_of_evaluation() -> None:
    app = build()
    parent, child = Blueprint("parent", "parent"), Blueprint("child", "child")
    guard(app, has_role("viewer"))
    guard(parent, "article:read")
    guard(child, "article:edit")

    class Item(MethodView):
        decorators = [requires("report:read")]  # noqa: RUF012

        @requires("article:delete")
        def get(self) -> str:
            return "in"

    child.add_url_rule("/", view_func=Item.as_view("item"))
    parent.register_blueprint(child)
    app.register_blueprint(parent)
    found = [repr(one) for one in places.guards_of(app, "parent.child.item", "GET")]
    assert found == [
        "requires(has_role('viewer'))",
        "requires(has_permission('article:read'))",
        "requires(has_permission('article:edit'))",
        "requires(has_permission('report:read'))",
        "requires(has_permission('article:delete'))",
    ]


def cached_app() -> tuple[Flask, Cache]:
    app = guarded_app(CACHE_TYPE="SimpleCache")
    return app, Cache(app)


def warnings_of(app: Flask) -> list[str]:
    with app.app_context():
        return app.extensions["jwt_authz"].check()


def test_a_cache_above_a_guard_is_warned_of_wherever_it_stands() -> None:
    app, cache = cached_app()
    guarded = requires("article:read")

    class OfMethods(MethodView):
        @cache.cached()
        @guarded
        def get(self) -> str:
            return "of methods"

    class OfDecorators(MethodView):
        decorators = (guarded, cache.cached())

        def get(self) -> str:
            return "of decorators"

    class OfClass(MethodView):
        decorators = (cache.cached(),)

        @guarded
        def get(self) -> str:
            return "of class"

    class OfDispatch(View):
        decorators = (cache.cached(),)

        @guarded
        def dispatch_request(self) -> str:
            return "of dispatch"

    views: dict[str, Any] = {
        "cached": cache.cached()(guarded(lambda: "cached")),
        "memoized": cache.memoize()(guarded(lambda: "memoized")),
        "lru": lru_cache(guarded(lambda: "lru")),
        "below": cache.cached()(wraps_only(guarded(lambda: "below"))),
        "between": guarded(cache.cached()(guarded(lambda: "between"))),
        "methods": OfMethods.as_view("methods"),
        "decorators": OfDecorators.as_view("decorators"),
        "class": OfClass.as_view("class"),
        "dispatch": OfDispatch.as_view("dispatch"),
    }
    for name, view in views.items():
        app.add_url_rule(f"/{name}", name, view)
    found = [line for line in warnings_of(app) if "has a cache above its guard" in line]
    assert [line.split(" ")[:2] for line in found] == [["GET", f"/{name}"] for name in views]


def wraps_only(view: Any) -> Any:
    @wraps(view)
    def wrapped(*arguments: Any, **keywords: Any) -> Any:
        return view(*arguments, **keywords)

    return wrapped


def test_a_cache_below_a_guard_is_not_warned_of() -> None:
    app, cache = cached_app()
    guarded = requires("article:read")
    app.add_url_rule("/cached", "cached", guarded(cache.cached()(lambda: "cached")))
    app.add_url_rule("/lru", "lru", guarded(lru_cache(lambda: "lru")))
    app.add_url_rule("/open", "open", exempt(cache.cached()(lambda: "open")))

    class OfMethods(MethodView):
        decorators = (wraps_only,)

        @guarded
        @cache.cached()
        def get(self) -> str:
            return "of methods"

    app.add_url_rule("/methods", view_func=OfMethods.as_view("methods"))
    assert warnings_of(app) == []


def test_an_error_handler_inside_a_guarded_place_still_answers_its_errors() -> None:
    app = build()
    blueprint = Blueprint("b", "b", url_prefix="/b")
    guard(blueprint, "article:read")
    blueprint.register_error_handler(404, lambda error: (jsonify(error="none"), 404))
    blueprint.add_url_rule("/<int:id>", "view", lambda id: abort(404))
    app.register_blueprint(blueprint)
    response: TestResponse = get(app.test_client(), "/b/1", viewer(app))
    assert (response.status_code, response.get_json()) == (404, {"error": "none"})
    assert app.test_client().get("/b/1").status_code == 401


def test_a_guarded_view_knows_its_caller_whatever_stood_in_front() -> None:
    app = build(default="deny")
    guard(app, "article:read")
    app.add_url_rule("/", "view", requires("article:edit")(lambda: current_identity.subject))
    assert get(app.test_client(), "/", editor(app)).text == "alice"


def test_a_guard_on_a_method_that_is_never_called_guards_nothing() -> None:
    """Flask calls a class's `get` only where it dispatches by method."""

    class Raw(View):
        def dispatch_request(self) -> str:
            return "open"

        @requires("article:edit")
        def get(self) -> str:
            return "guarded"

    app = guarded_app(authz={"default": "deny"})
    app.logger.disabled = True
    app.add_url_rule("/raw", view_func=Raw.as_view("raw"))
    assert app.test_client().get("/raw").status_code == 500
    with app.app_context(), pytest.raises(MisuseError, match="raw"):
        app.extensions["jwt_authz"].check()
