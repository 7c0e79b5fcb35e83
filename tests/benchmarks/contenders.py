"""The contenders of the peers benchmark: each builds a small application with one GET route.

All handlers return the same JSON. The peers are built the way their own documents show, and where
there was a choice it is the cheaper one: Flask-Principal's identity is filled with role needs
only, and Casbin's matching line stands in the middle of its policy. A contender whose library is
not installed is left out, and the run says so.
"""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from flask import Flask, abort
from flask_jwt_extended import JWTManager, get_jwt, get_jwt_identity, jwt_required

from jwt_authz import Authz, Role, Roles, requires

from .common import NEEDED_PERMISSION, NEEDED_ROLE, Setup

RULE = "/articles/<int:article_id>"
CASBIN_MODEL = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act
"""


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    `verifications` is how many signatures a timed request is expected to verify; the run counts
    them. A contender with `fresh` is given tokens that it has never seen, the others the same
    tokens again and again. `share` is the part of a round's requests that a slow one answers.
    """

    name: str
    build: Callable[[Setup], Flask]
    checks: str = "right"  # nothing, token or right
    needs: str | None = None
    verifications: int = 1
    fresh: bool = False
    logged: bool = False
    share: float = 1.0


def article(article_id: int) -> dict[str, Any]:
    return {"id": article_id, "title": "An article", "tags": ["one", "two"]}


def bare(setup: Setup) -> Flask:
    app = Flask(__name__)
    app.get(RULE)(article)
    return app


def token_only(setup: Setup) -> Flask:
    app = _app_with_tokens(setup)
    app.get(RULE)(jwt_required()(article))
    return app


def role_by_hand(setup: Setup) -> Flask:
    app = _app_with_tokens(setup)

    def view(article_id: int) -> dict[str, Any]:
        if NEEDED_ROLE not in get_jwt()["roles"]:
            abort(403)
        return article(article_id)

    app.get(RULE)(jwt_required()(view))
    return app


def allows(setup: Setup) -> Flask:
    library = import_module("flask_allows2")
    app = _app_with_tokens(setup)
    library.Allows(app, identity_loader=get_jwt)

    def may_read(identity: dict[str, Any]) -> bool:
        return NEEDED_PERMISSION in identity["permissions"]

    app.get(RULE)(jwt_required()(library.requires(may_read)(article)))
    return app


def principal(setup: Setup) -> Flask:
    library = import_module("flask_principal")
    app = _app_with_tokens(setup)
    principals = library.Principal(app, use_sessions=False)
    permission = library.Permission(library.RoleNeed(NEEDED_ROLE))

    def provide_needs(sender: Flask, identity: Any) -> None:
        identity.provides.update(map(library.RoleNeed, get_jwt()["roles"]))

    def view(article_id: int) -> dict[str, Any]:
        principals.set_identity(library.Identity(get_jwt_identity()))
        with permission.require(403):
            return article(article_id)

    library.identity_loaded.connect(provide_needs, app, weak=False)
    app.get(RULE)(jwt_required()(view))
    return app


def rpbac(setup: Setup) -> Flask:
    library = import_module("flask_rpbac")
    app = _app_with_tokens(setup)
    access = library.RPBAC(app)
    access.permission_loader(lambda: get_jwt()["permissions"])
    may_read = access.permission_required(library.Permission(NEEDED_PERMISSION))
    app.get(RULE)(jwt_required()(may_read(article)))
    return app


def casbin_with(lines: int) -> Callable[[Setup], Flask]:
    """Casbin's own matcher over a policy of that many lines."""

    def build(setup: Setup) -> Flask:
        enforcer = _enforcer(lines)
        app = _app_with_tokens(setup)

        def view(article_id: int) -> dict[str, Any]:
            if not any(enforcer.enforce(role, "article", "read") for role in get_jwt()["roles"]):
                abort(403)
            return article(article_id)

        app.get(RULE)(jwt_required()(view))
        return app

    return build


def guarded(setup: Setup, **settings: object) -> Flask:
    app = Flask(__name__)
    app.config.update(setup.settings, **settings)
    Authz(app, roles=Roles(*(Role(name, *held) for name, held in setup.roles.items())))
    app.get(RULE)(requires(NEEDED_PERMISSION)(article))
    return app


def revocable(setup: Setup) -> Flask:
    """Guarded, with a store in a database, where something of each kind is revoked of others."""
    folder = tempfile.mkdtemp(prefix="jwt_authz-benchmark-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    others: dict[str, tuple[str, ...]] = {f"another's {number}": () for number in range(10)}
    setup = Setup(setup.settings, {**setup.roles, **others})
    app = guarded(setup, AUTHZ_STORE_URL=f"sqlite:///{folder}/store.db")
    authz: Authz = app.extensions["jwt_authz"]
    with app.app_context():
        authz.prepare_store()
        for kind in ("jti", "subject", "role", "tenant", "family"):
            for other in others:
                authz.revoke(**{kind: other})
    return app


def _app_with_tokens(setup: Setup) -> Flask:
    app = Flask(__name__)
    app.config.update(setup.settings)
    JWTManager(app)
    return app


def _enforcer(lines: int) -> Any:
    casbin = import_module("casbin")
    model = casbin.Model()
    model.load_model_from_text(CASBIN_MODEL)
    enforcer = casbin.Enforcer(model)
    policy = [[f"role{n}", f"resource{n}", "read"] for n in range(lines - 1)]
    policy.insert(lines // 2, [NEEDED_ROLE, *NEEDED_PERMISSION.split(":")])
    enforcer.add_policies(policy)
    return enforcer


CONTENDERS = (
    Contender("bare handler", bare, checks="nothing", verifications=0),
    Contender("jwt_required", token_only, checks="token"),
    Contender("jwt_required, role by hand", role_by_hand),
    Contender("flask-allows2 over jwt_required", allows, needs="flask_allows2"),
    Contender("Flask-Principal over jwt_required", principal, needs="flask_principal"),
    Contender("Flask-RPBAC over jwt_required", rpbac, needs="flask_rpbac"),
    Contender("Casbin (20 lines) over jwt_required", casbin_with(20), needs="casbin"),
    Contender(
        "Casbin (1,000 lines) over jwt_required", casbin_with(1000), needs="casbin", share=0.1
    ),
    Contender("jwt_authz, warm", guarded, verifications=0),
    Contender("jwt_authz, warm, revocable", revocable, needs="sqlalchemy", verifications=0),
    Contender("jwt_authz, warm, allowed calls logged", guarded, verifications=0, logged=True),
    Contender("jwt_authz, cold", guarded, fresh=True),
)
