"""A resource that is loaded, checked and handed over to the view; and hidden to the letter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from flask import Flask, abort, g, jsonify
from flask.views import MethodView
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from jwt_authz import Authz, MisuseError, Role, Roles, has_role, requirement, requires
from jwt_authz.contrib.sqlalchemy import by_key
from jwt_authz.testing import authz_client
from tests.steps import steps_of

pytestmark = pytest.mark.versions

ROLES = Roles(Role("reader", "article:read"), Role("chief", "article:*", includes="reader"))


class Base(DeclarativeBase):
    pass


class Article(Base):
    __tablename__ = "loaded_articles"
    id: Mapped[int] = mapped_column(primary_key=True)
    author: Mapped[str]


class Tag(Base):
    __tablename__ = "loaded_tags"
    name: Mapped[str] = mapped_column(primary_key=True)


@requirement("is the author of this article")
def author(identity: Any, article: Article) -> bool:
    return bool(identity.subject == article.author)


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "sqlite":
        made = create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
    else:
        made = create_engine(request.getfixturevalue("new_schema")())
    Base.metadata.create_all(made)
    with Session(made) as session, session.begin():
        session.add_all([Article(id=1, author="ann"), Article(id=2, author="bob"), Tag(name="a")])
    yield made
    made.dispose()


@pytest.fixture
def app(engine: Engine) -> Flask:
    return make_app(engine)


def make_app(engine: Engine) -> Flask:
    app = Flask("press")
    app.config["JWT_SECRET_KEY"] = "k" * 64
    Authz(app, roles=ROLES)

    def session() -> Session:
        if "session" not in g:
            g.session = Session(engine)
        return g.session  # type: ignore[no-any-return]

    @app.teardown_appcontext
    def close(error: Any) -> None:
        if "session" in g:
            g.session.close()

    load = by_key(Article, "id", session)

    @app.get("/articles/<int:id>")
    @requires(author | has_role("chief"), on=load, into="article")
    def show(id: int, article: Article) -> Any:
        return jsonify(id=id, author=article.author)

    @app.get("/hidden/<int:id>")
    @requires(author, on=load, into="article", hide=True)
    def hidden(id: int, article: Article) -> Any:
        return jsonify(article.author)

    @app.get("/optional/<int:id>")
    @requires(author, on=load, into="article", optional=True)
    def optional(id: int, article: Article) -> Any:
        return jsonify(article.author)

    @app.get("/trying/<int:id>")
    @requires(author, on=load, into="article", enforce=False)
    def trying(id: int, article: Article) -> Any:
        return jsonify(article.author)

    @app.get("/tags/<path:name>")
    @requires(on=by_key(Tag, "name", session), into="tag")
    def tag(name: str, tag: Tag) -> Any:
        return jsonify(tag.name)

    @app.get("/big/<int(signed=True):id>")
    @requires(on=load, into="article")
    def big(id: int, article: Article) -> Any:
        return jsonify(article.author)

    class View(MethodView):
        decorators: ClassVar = [requires(author, on=load, into="article")]

        def get(self, id: int, article: Article) -> Any:
            return jsonify(article.author)

        @requires(author, on=load, into="again")
        def put(self, id: int, article: Article, again: Article) -> Any:
            return jsonify(article is again)

    app.add_url_rule("/view/<int:id>", view_func=View.as_view("view"))
    return app


def test_the_object_that_was_checked_reaches_the_view(app: Flask) -> None:
    ann, chief = authz_client(app, subject="ann"), authz_client(app, roles=["chief"])
    assert ann.get("/articles/1").json == {"id": 1, "author": "ann"}
    assert ann.get("/articles/2").status_code == 403
    assert chief.get("/articles/2").json == {"id": 2, "author": "bob"}
    assert chief.get("/articles/3").status_code == 404
    assert app.test_client().get("/articles/1").status_code == 401


def test_it_reaches_the_methods_of_a_class_and_a_method_of_its_own(app: Flask) -> None:
    ann = authz_client(app, subject="ann")
    assert ann.get("/view/1").json == "ann"
    assert ann.put("/view/1").json is True


def test_it_reaches_a_view_that_lets_in_without_asking(app: Flask) -> None:
    assert app.test_client().get("/optional/1").json == "ann"
    assert app.test_client().get("/optional/3").status_code == 404
    assert app.test_client().get("/trying/1").json == "ann"
    assert authz_client(app, subject="eve").get("/trying/1").json == "ann"


@pytest.mark.parametrize("id", [0, -1, 2**31, 2**63, 10**30])
def test_a_key_that_no_row_can_have_is_404(app: Flask, id: int) -> None:
    assert authz_client(app).get(f"/big/{id}").status_code == 404
    assert authz_client(app).get("/big/1").json == "ann"


@pytest.mark.parametrize("name", ["b", "a%00b", "a" * 5_000, "%ed%a0%80", "a/b"])
def test_a_text_that_no_row_can_have_is_404(app: Flask, name: str) -> None:
    assert authz_client(app).get(f"/tags/{name}").status_code == 404
    assert authz_client(app).get("/tags/a").json == "a"


def test_it_is_loaded_once(app: Flask) -> None:
    loaded = []

    def load(id: int) -> Any:
        loaded.append(id)
        return Article(id=id, author="ann")

    app.add_url_rule(
        "/once/<int:id>",
        "once",
        requires(author, on=load, into="article")(lambda id, article: article.author),
    )
    assert authz_client(app, subject="ann").get("/once/7").text == "ann"
    assert loaded == [7]


def test_async_loaders_and_views_are_handed_over_as_well(app: Flask) -> None:
    async def load(id: int) -> Any:
        return Article(id=id, author="ann")

    async def view(id: int, article: Article) -> str:
        return article.author

    app.add_url_rule("/later/<int:id>", "later", requires(author, on=load, into="article")(view))
    assert authz_client(app, subject="ann").get("/later/7").text == "ann"


def test_what_on_fail_is_given_are_the_views_own_arguments(app: Flask) -> None:
    given: list[Any] = []

    def fail(**arguments: Any) -> str:
        given.append(arguments)
        return "no"

    app.add_url_rule(
        "/fail/<int:id>",
        "fail",
        requires(author, on=lambda id: Article(id=id, author="ann"), into="article", on_fail=fail)(
            lambda id, article: "in"
        ),
    )
    assert authz_client(app, subject="bob").get("/fail/7").text == "no"
    assert given == [{"id": 7}]


# Hidden: as if it were not there


def without_what_varies(answer: Any) -> tuple[int, bytes, list[tuple[str, str]]]:
    return answer.status_code, answer.data, sorted(answer.headers)


def test_a_hidden_object_is_answered_as_one_that_is_not_there(app: Flask) -> None:
    bob = authz_client(app, subject="bob")
    assert bob.get("/hidden/2").json == "bob"
    there, gone = bob.get("/hidden/1"), bob.get("/hidden/3")
    assert there.status_code == 404
    assert without_what_varies(there) == without_what_varies(gone)


@pytest.mark.parametrize(
    "handler",
    [
        lambda error: ({"error": "nothing here", "description": error.description}, 404),
        lambda error: ("gone", 410, {"X-Mark": "yes"}),
    ],
)
def test_the_applications_own_error_page_is_the_same_for_both(
    engine: Engine, handler: Callable[[Any], Any]
) -> None:
    app = make_app(engine)
    app.register_error_handler(404, handler)
    app.after_request(lambda response: response.headers.set("X-After", "1") or response)
    bob = authz_client(app, subject="bob")
    there, gone = bob.get("/hidden/1"), bob.get("/hidden/3")
    assert without_what_varies(there) == without_what_varies(gone)


def test_a_loader_that_says_more_is_not_listened_to(engine: Engine) -> None:
    app = make_app(engine)

    def load(id: int) -> Any:
        return Article(id=1, author="ann") if id == 1 else abort(404, "There is no article 3.")

    app.add_url_rule(
        "/said/<int:id>", "said", requires(author, on=load, hide=True)(lambda id: "in")
    )
    bob = authz_client(app, subject="bob")
    assert without_what_varies(bob.get("/said/1")) == without_what_varies(bob.get("/said/3"))


def test_a_hidden_object_takes_about_as_many_steps_as_one_that_is_not_there(app: Flask) -> None:
    bob = authz_client(app, subject="bob")
    paths = "/hidden/1", "/hidden/3"
    for path in paths:
        bob.get(path)
    there, gone = (steps_of(lambda path=path: bob.get(path)) for path in paths)
    assert 0.8 < there / gone < 1.25


# Misuse


def test_a_loader_whose_argument_the_view_lacks_says_so(app: Flask, caplog: Any) -> None:
    app.add_url_rule(
        "/lacks/<int:number>",
        "lacks",
        requires(on=by_key(Article, "id", lambda: None))(lambda number: "in"),  # type: ignore[arg-type,return-value]
    )
    assert authz_client(app).get("/lacks/7").status_code == 500
    assert "the view has no argument 'id': write by_key(Article, ...)" in caplog.text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: requires(into="article"), "into= needs a resource"),
        (lambda: requires(on=lambda id: id, into="an article"), "the name of an argument"),
        (lambda: requires(on=lambda id: id, into=7), "the name of an argument"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_handed_over_is_a_misuse(make: Any, message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        make()


def test_into_is_for_a_view_alone(app: Flask) -> None:
    said = r"write with requires\(\.\.\., on=it\) as it"
    with (
        app.test_request_context(),
        pytest.raises(MisuseError, match=said),
        requires(on=7, into="it"),
    ):
        pass
