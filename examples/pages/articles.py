"""Articles: everybody reads, users write, authors and admins edit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from jwt_authz import authorize, current_identity, exempt, requirement, requires

blueprint = Blueprint("articles", __name__)


@dataclass
class Article:
    id: int
    title: str
    author: str


written = {1: Article(1, "Hello", "user@example.org"), 2: Article(2, "News", "admin@example.org")}


@requirement("wrote this article")
def author(identity: Any, article: Article) -> bool:
    return bool(identity.subject == article.author)


may_edit = author | "article:edit_any"


@blueprint.get("/")
@exempt
def home() -> str:
    return render_template("home.html", articles=written.values(), may_edit=may_edit)


@blueprint.route("/articles/new", methods=["GET", "POST"])
@requires("article:write")
def write() -> ResponseReturnValue:
    if request.method == "GET":
        return render_template("edit.html", article=None)
    id = max(written) + 1
    written[id] = Article(id, _title(), current_identity.subject)
    return redirect(url_for(".home"))


@blueprint.route("/articles/<int:id>/edit", methods=["GET", "POST"])
@requires()
def edit(id: int) -> ResponseReturnValue:
    article = authorize(may_edit, on=written.get(id) or abort(404))
    if request.method == "GET":
        return render_template("edit.html", article=article)
    article.title = _title()
    return redirect(url_for(".home"))


def _title() -> str:
    title = request.form.get("title", "").strip()
    return title or abort(400)
