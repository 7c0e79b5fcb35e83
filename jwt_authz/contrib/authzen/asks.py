"""Asks: the requirement that a decision point says yes, once a question and request at most."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ...errors import MisuseError
from ...guards.arguments import NOT_GIVEN
from ...guards.verbs import current_identity
from ...policy.decision import Decision
from ...policy.functions import NO_RESOURCE, Takes, Undecided
from ...policy.identity import Identity
from ...policy.requirements import Requirement
from .answers import answers_now
from .question import DecisionPoint, Entity, Question

ANY = "*"
"""The id of a resource where a question is about its type."""


def subject_of(identity: Any) -> Entity:
    """What is told of a caller unless `asks(..., subject=...)` says otherwise.

    The subject, and its roles, scopes, tenant and issuer; no permission, no claim and no token.
    Raise `Undecided` for the subject of an issuer without a `subject_prefix`, which the decision
    point would take for a user of the application.
    """
    if not isinstance(identity, Identity):
        raise Undecided(
            f"asks(...) tells of an Identity, not of {type(identity).__name__}: write "
            "asks(..., subject=a_function_of_it)"
        )
    if identity.subject_is_foreign:
        raise Undecided(
            "the caller's subject is not one of the application's own: write "
            "Issuer(..., subject_prefix='...'), or asks(..., subject=a_function_of_it)"
        )
    told = {
        "roles": sorted(identity.roles),
        "scopes": sorted(identity.scopes),
        "tenant": identity.tenant,
        "issuer": identity.issuer,
    }
    return Entity("user", identity.subject, {name: v for name, v in told.items() if v})


def _is_foreign(identity: Any) -> bool:
    return isinstance(identity, Identity) and identity.subject_is_foreign


class asks(Requirement):
    """Met where a decision point says that the caller may do this to the resource.

    `on=` gives the resource; its id is its attribute or key `id`, or what the function `id` makes
    of it, and `properties` is a function that tells more of it. Without a resource the question is
    about the type, with the id `*`. `subject` is a function of the identity that tells of the
    caller. A decision point that does not answer is a 503.
    """

    takes = Takes("asks", resource=True, needed=False)

    def __init__(
        self,
        point: DecisionPoint,
        resource_type: str,
        action: str,
        *,
        id: str | Callable[[Any], Any] = "id",
        properties: Callable[[Any], Mapping[str, Any]] | None = None,
        subject: Callable[[Any], Entity] = subject_of,
    ) -> None:
        _check_question(point, resource_type, action)
        _check_functions(id, properties, subject)
        self.point = point
        self.resource_type = resource_type
        self.action = action
        self.id = id
        self.properties = properties
        self.subject = subject

    @property
    def looks_at_subject(self) -> bool:
        return self.subject is subject_of

    @property
    def sentence(self) -> str:
        return f"may {self.action} {self.resource_type}, as the decision point says"

    def question(self, identity: Any, on: Any = NO_RESOURCE) -> Question:
        """What is asked of the decision point about this caller and resource."""
        resource = Entity(self.resource_type, ANY)
        if on is not NO_RESOURCE:
            more = {} if self.properties is None else self.properties(on)
            resource = Entity(self.resource_type, self._id_of(on), more)
        return Question(self.subject(identity), self.action, resource)

    def allowed_among(self, resources: Iterable[Any], *, identity: Any = NOT_GIVEN) -> list[Any]:
        """Those of the resources that the caller may do this to, asked for all at once.

        What was answered in this request is not asked again, and later checks of these resources
        ask nothing. Without a caller, and for one whose subject is foreign unless `subject` tells
        of them, the list is empty. Raises `StoreUnavailable`.
        """
        caller = current_identity._get_current_object() if identity is NOT_GIVEN else identity
        if not caller or (self.looks_at_subject and _is_foreign(caller)):
            return []
        asked = list(resources)
        questions = [self.question(caller, resource) for resource in asked]
        answers = answers_now().many(self.point, questions)
        return [resource for resource, yes in zip(asked, answers, strict=True) if yes]

    def _judge(self, identity: Any, on: Any, overridden: Collection[Requirement]) -> Decision:
        return self._read(answers_now().one(self.point, self.question(identity, on)))

    def _id_of(self, resource: Any) -> str:
        if callable(self.id):
            found = self.id(resource)
        elif isinstance(resource, Mapping):
            found = resource.get(self.id)
        else:
            found = getattr(resource, self.id, None)
        told = "" if found is None else str(found)
        if told in ("", ANY):  # which would be the question about the type
            raise Undecided(
                f"{self!r} needs the id of the resource, which is neither empty nor {ANY!r}: "
                "write asks(..., id=a_function_of_it)"
            )
        return told

    def __repr__(self) -> str:
        return f"asks({self.point!r}, {self.resource_type!r}, {self.action!r})"


def _check_question(point: object, resource_type: object, action: object) -> None:
    if isinstance(point, type) or not isinstance(point, DecisionPoint):
        raise MisuseError(
            f"{point!r} is no decision point: write AuthZEN(url), or an object with decide and "
            "decide_all"
        )
    for name in (resource_type, action):
        if not isinstance(name, str) or not name:
            raise MisuseError(
                f"a type and an action are texts: write asks(point, 'article', 'edit'), not "
                f"{name!r}"
            )


def _check_functions(id: object, properties: object, subject: object) -> None:
    if not (isinstance(id, str) or callable(id)) or not callable(subject):
        raise MisuseError(
            "id is an attribute's name or a function of the resource, and subject a function of "
            "the identity: write asks(..., id=lambda article: article.number)"
        )
    if properties is not None and not callable(properties):
        raise MisuseError(
            "properties is a function of the resource: write "
            "asks(..., properties=lambda article: {'owner': article.owner})"
        )
