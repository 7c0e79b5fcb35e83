"""Generated applications: guards in every place, by every kind of requirement and option."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask
from flask.views import MethodView, View

from jwt_authz import Authz, Identity, exempt, guard, requires
from jwt_authz.guards.guard import Guard
from tests.cases import Dice, library_requirement, library_roles
from tests.edge import bare_app
from tests.model import Catalog

METHODS = ("GET", "POST", "PUT", "HEAD", "OPTIONS")
ROUTES = 7


class Builder:
    """Makes one application, the same from the same seed."""

    def __init__(self, seed: int) -> None:
        self.dice = Dice(seed, clean=True)
        self.catalog: Catalog = self.dice.catalog()
        self.roles = library_roles(self.catalog)
        self.app = bare_app(AUTHZ_SILENCE=["AZ001"])  # views without a guard are wanted here
        Authz(self.app, roles=self.roles, default=self.dice.random.choice(("allow", "deny")))

    def build(self) -> Flask:
        parent, child = Blueprint("parent", "parent"), Blueprint("child", "child")
        for target, chance in ((self.app, 0.15), (parent, 0.4), (child, 0.4)):
            if self.chance(chance):
                guard(target, *self.requirements(with_resource=False))
        for scaffold in (parent, child):
            if self.chance(0.15):
                exempt(scaffold)
        for number in range(ROUTES):
            self.add_route(self.dice.random.choice((self.app, parent, child)), f"r{number}")
        parent.register_blueprint(child, url_prefix="/child")
        self.app.register_blueprint(parent, url_prefix="/parent")
        if self.chance(0.3):
            exempt(self.dice.random.choice(list(self.app.view_functions)), self.app)
        return self.app

    def chance(self, share: float) -> bool:
        return self.dice.random.random() < share

    def requirements(self, with_resource: bool = True) -> list[Any]:
        """Up to two requirements; without a resource none looks at one."""
        count, found = self.dice.random.choice((0, 1, 1, 1, 2)), []
        while len(found) < count:
            asked = library_requirement(self.dice.tree(self.catalog, depth=2))
            if with_resource or not any(part.takes_resource for part in asked.walk()):
                found.append(asked)
        return found

    def guard(self) -> Guard:
        """A guard for a view, a class or a method, with options, by method or for all."""
        asked: list[Any] = self.requirements()
        if self.chance(0.3):
            methods = self.dice.some(METHODS, 4)
            asked.append({m: functools.reduce(_both, self.requirements(), _any()) for m in methods})
        options: dict[str, Any] = {"hide": self.chance(0.2), "optional": self.chance(0.15)}
        options["enforce"] = not self.chance(0.1)
        if any(part.takes_resource for part in _walked(asked)):
            answer = self.chance(0.5)
            options["on"] = lambda **arguments: answer
        if self.chance(0.1):
            names = self.dice.some(self.roles, 2)
            options["identity"] = Identity("other", roles=names, catalogue=self.roles)
        elif self.chance(0.15):
            options["fresh"] = True
        return requires(*asked, **options)

    def maybe_guarded(self, function: Callable[..., Any], share: float = 0.6) -> Any:
        """A function with up to two guards around it, which may be exempt, inside or outside."""
        if self.chance(0.1):
            exempt(function)
        while self.chance(share):
            function = self.guard()(function)
            share /= 3
        return exempt(function) if self.chance(0.05) else function

    def add_route(self, scaffold: Flask | Blueprint, name: str) -> None:
        rule = f"/{name}" if self.chance(0.7) else f"/{name}/<int:id>"
        if self.chance(0.5):
            methods = self.dice.some(METHODS, 3) or ["GET"]
            view = self.maybe_guarded(lambda **arguments: "in")
            scaffold.add_url_rule(rule, name, view, methods=methods)
        else:
            scaffold.add_url_rule(rule, view_func=self.view_class().as_view(name))

    def view_class(self) -> type[View]:
        """A class of methods with a subclass that overrides some, or one with a `dispatch_request`.

        Either may have guards in `decorators`, and be exempt.
        """
        decorators = [self.guard() for _ in range(self.dice.random.choice((0, 0, 1, 2)))]
        if self.chance(0.2):
            members: dict[str, Any] = {"methods": ["GET", "POST"], "decorators": decorators}
            members["dispatch_request"] = self.maybe_guarded(_method())
            made = type("Dispatched", (View,), members)
        else:
            names = self.dice.some(("get", "post", "put", "head", "options"), 3) or ["get"]
            members = {name: self.maybe_guarded(_method()) for name in names}
            made = type("Parent", (MethodView,), {**members, "decorators": decorators})
            if self.chance(0.4):
                overridden = {name: self.maybe_guarded(_method()) for name in names[:1]}
                made = type("Child", (made,), overridden)
        return exempt(made) if self.chance(0.1) else made  # type: ignore[no-any-return]


def _method() -> Callable[..., str]:
    return lambda self, **arguments: "in"


def _both(one: Any, other: Any) -> Any:
    return one & other


def _any() -> Any:
    return library_requirement(("and",))


def _walked(asked: list[Any]) -> list[Any]:
    parts = [p for one in asked for p in (one.values() if isinstance(one, dict) else (one,))]
    return [inner for part in parts for inner in part.walk()]
