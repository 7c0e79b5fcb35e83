"""Tenants: pages below `/tenants/<tenant>`, which none but callers of this very tenant may see."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from jwt_authz import guard
from jwt_authz.guards.tenants import same_tenant

from .models import Article, User, transaction

tenants = Blueprint("tenants", __name__, url_prefix="/tenants/<tenant>")
guard(tenants, same_tenant("tenant"))


@tenants.get("")
def show_tenant(tenant: str) -> ResponseReturnValue:
    users = select(func.count()).where(User.tenant == tenant)
    articles = select(func.count()).where(Article.tenant == tenant)
    with transaction() as session:
        return {
            "tenant": tenant,
            "users": session.scalar(users),
            "articles": session.scalar(articles),
        }
