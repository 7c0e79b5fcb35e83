"""Reports: a page that editors and admins may read, and viewers may not."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import distinct, func, select

from jwt_authz import requires

from .models import Article, transaction

reports = Blueprint("reports", __name__)


@reports.get("/reports")
@requires("report:read")
def show_reports() -> ResponseReturnValue:
    counts = select(func.count(), func.count(distinct(Article.author))).select_from(Article)
    with transaction() as session:
        articles, authors = session.execute(counts).one()
    return {"articles": articles, "authors": authors}
