"""Reports: a page on the caller's tenant, which editors and admins may read, and viewers not."""

from __future__ import annotations

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy import distinct, func, select

from jwt_authz import Authz, requires

from .models import Article, transaction
from .rules import is_of_same_tenant

reports = Blueprint("reports", __name__)


@reports.get("/reports")
@requires("report:read")
def show_reports() -> ResponseReturnValue:
    authz: Authz = current_app.extensions["jwt_authz"]
    counts = select(func.count(), func.count(distinct(Article.author))).select_from(Article)
    counts = counts.where(authz.filter(is_of_same_tenant, Article))
    with transaction() as session:
        articles, authors = session.execute(counts).one()
    return {"articles": articles, "authors": authors}
