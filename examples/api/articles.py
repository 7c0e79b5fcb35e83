"""Articles: a permission for each action, and rules that look at the articles themselves."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Blueprint, abort, current_app, url_for
from flask.typing import ResponseReturnValue
from flask.views import MethodView
from marshmallow import Schema, fields, validate
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from jwt_authz import Authz, authorize, current_identity, has_role, requires

from .bodies import boolean, read_body, storable
from .models import LARGEST_ID, LONGEST_TITLE, Article, transaction

articles = Blueprint("articles", __name__)


class ArticleSchema(Schema):
    """An article as it is shown; all but `id` and `author` are also what a client may send."""

    id = fields.Integer(dump_only=True)
    author = fields.String(dump_only=True)
    title = fields.String(required=True, validate=[validate.Length(1, LONGEST_TITLE), storable])
    body = fields.String(load_default="", validate=storable)
    draft = fields.Raw(load_default=False, validate=boolean)


@articles.get("/articles")
@requires("article:read")
def list_articles() -> ResponseReturnValue:
    with transaction() as session:
        found = session.scalars(select(Article).where(readable()).order_by(Article.id))
        return {"articles": [shown(article) for article in found]}


@articles.post("/articles")
@requires("article:create")
def create_article() -> ResponseReturnValue:
    article = Article(
        author=current_identity.subject,
        tenant=current_identity.tenant,
        **read_body(ArticleSchema()),
    )
    authorize("article:create", on=article)  # refused to a caller without a tenant
    with transaction() as session:
        session.add(article)
        session.flush()  # gives it its id
        location = url_for("articles.article", id=article.id)
        return shown(article), HTTPStatus.CREATED, {"Location": location}


class ArticleView(MethodView):
    @requires("article:read")
    def get(self, id: int) -> ResponseReturnValue:
        with transaction() as session:
            return shown(load(session, id))

    @requires()  # anybody with a token; what else it takes depends on the article
    def patch(self, id: int) -> ResponseReturnValue:
        with transaction() as session:
            article = authorize("article:edit", on=load(session, id))
            for name, value in read_body(ArticleSchema(partial=True)).items():
                setattr(article, name, value)
            return shown(article)

    @requires(has_role("admin"))  # asked first: others do not learn which articles there are
    def delete(self, id: int) -> ResponseReturnValue:
        with transaction() as session:
            session.delete(load(session, id))
        return "", HTTPStatus.NO_CONTENT


articles.add_url_rule("/articles/<int:id>", view_func=ArticleView.as_view("article"))


def readable() -> ColumnElement[bool]:
    """The criterion of the articles that the caller may read, by the rule of `article:read`."""
    authz: Authz = current_app.extensions["jwt_authz"]
    criterion: ColumnElement[bool] = authz.filter("article:read", Article)
    return criterion


def load(session: Session, id: int) -> Article:
    """The article with this id; 404 where there is none, or none that the caller may read."""
    asked = select(Article).where(Article.id == id, readable())
    article = session.scalar(asked) if id <= LARGEST_ID else None
    return article or abort(HTTPStatus.NOT_FOUND, "There is no such article.")


def shown(article: Article) -> dict[str, Any]:
    hidden = () if article.draft else ("draft",)  # it is said of drafts alone
    members: dict[str, Any] = ArticleSchema(exclude=hidden).dump(article)
    return members
