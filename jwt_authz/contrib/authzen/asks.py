"""The requirement `asks(...)`: a decision point allows it, asked at most once per request."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ...errors import MisuseError
from ...guards.arguments import NOT_GIVEN
from ...guards.verbs import current_identity
from ...policy.decision import Decision
from ...policy.functions import NO_RESOURCE, Parameters, Undecided
from ...policy.identity import Identity
from ...policy.requirements import Requirement
from .answers import answers_now
from .question import DecisionPoint, Entity, Question

ANY = "*"
"""The resource id in a question about all resources of a type."""


def subject_of(identity: Any) -> Entity:
    """Return what a decision point learns about a caller by default.

    This is the subject with its roles, scopes, tenant and issuer: no permissions, claims or token.
    Pass another function as `asks(..., subject=...)` to change it. Raise `Undecided` for the
    subject of an issuer without a `subject_prefix`, which the decision point would mistake for a
    user of the application.
    """
    if not isinstance(identity, Identity):
        raise Undecided(
            f"asks(...) expects an Identity, not {type(identity).__name__}: write "
            "asks(..., subject=a_function_of_it)"
        )
    if identity.subject_is_foreign:
        raise Undecided(
            "the caller's subject belongs to an issuer without a subject_prefix: write "
            "Issuer(..., subject_prefix='...'), or asks(..., subject=a_function_of_it)"
        )
    properties = {
        "roles": sorted(identity.roles),
        "scopes": sorted(identity.scopes),
        "tenant": identity.tenant,
        "issuer": identity.issuer,
    }
    return Entity("user", identity.subject, {name: v for name, v in properties.items() if v})


def _is_foreign(identity: Any) -> bool:
    return isinstance(identity, Identity) and identity.subject_is_foreign


class asks(Requirement):
    """Require that a decision point allows the caller this action on the resource.

    The guard's `on=` gives the resource. Its id is its attribute or key `id`, or what the function
    `id` returns for it; the function `properties` returns more about it. Without a resource the
    question is about the type, with the id `*`. The function `subject` turns the identity into the
    subject of the question. The response is 503 if the decision point does not answer.
    """

    takes = Parameters("asks", resource=True, needed=False)

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
        """Return the question to the decision point about this caller and resource."""
        resource = Entity(self.resource_type, ANY)
        if on is not NO_RESOURCE:
            more = {} if self.properties is None else self.properties(on)
            resource = Entity(self.resource_type, self._id_of(on), more)
        return Question(self.subject(identity), self.action, resource)

    def allowed_among(self, resources: Iterable[Any], *, identity: Any = NOT_GIVEN) -> list[Any]:
        """Return the resources on which the caller may do this, with one call for all of them.

        Questions that were already answered in this request are not asked again, nor are later
        checks of these resources. The list is empty without a caller, and, unless a function
        `subject` was given, for a caller with a foreign subject. Raise `StoreUnavailable` if the
        decision point does not answer.
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
        text = "" if found is None else str(found)
        if text in ("", ANY):  # ANY would be a question about the type
            raise Undecided(
                f"{self!r} found the resource id {text!r}: expected an id that is neither empty "
                f"nor {ANY!r}. Write asks(..., id=a_function_of_it)"
            )
        return text

    def __repr__(self) -> str:
        return f"asks({self.point!r}, {self.resource_type!r}, {self.action!r})"


def _check_question(point: object, resource_type: object, action: object) -> None:
    if isinstance(point, type) or not isinstance(point, DecisionPoint):
        raise MisuseError(
            f"{point!r} is not a decision point: expected AuthZEN(url), or an object with the "
            "methods decide and decide_all"
        )
    for name in (resource_type, action):
        if not isinstance(name, str) or not name:
            raise MisuseError(
                f"Invalid resource type or action {name!r}: expected non-empty strings, as in "
                "asks(point, 'article', 'edit')."
            )


def _check_functions(id: object, properties: object, subject: object) -> None:
    if not (isinstance(id, str) or callable(id)) or not callable(subject):
        raise MisuseError(
            "id must be the name of an attribute or a function of the resource, and subject a "
            "function of the identity: write asks(..., id=lambda article: article.number)"
        )
    if properties is not None and not callable(properties):
        raise MisuseError(
            "properties must be a function of the resource: write "
            "asks(..., properties=lambda article: {'owner': article.owner})"
        )
