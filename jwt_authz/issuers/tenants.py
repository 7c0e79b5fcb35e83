"""Tenants: for which tenants an issuer may speak, and how one stands in its tokens and `iss`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from ..errors import ClaimInvalid, ClaimMissing, IssuerInvalid, MisuseError
from .pointers import Places, as_pointers

TENANT = "{tenantid}"
"""What stands for the tenant in the issuer of several, as Microsoft Entra's metadata has it."""

Tenants = Mapping[str, str] | Collection[str]
"""Their tenants and what each is called here; a collection is of names that are the same here."""


class TenantRule:
    """Whose tokens an issuer signs: one tenant's, some tenants', any tenant's, or no tenant's."""

    __slots__ = ("_any", "_fixed", "_issuer", "_pattern", "_places", "_tenants")

    def __init__(
        self,
        issuer: str,
        fixed: str | None,
        tenants: Tenants | None,
        any_tenant: bool,
        places: Places,
    ) -> None:
        self._issuer, self._fixed, self._any = issuer, fixed, any_tenant
        self._pattern = _pattern(issuer)
        self._places = as_pointers(places)
        if self._pattern is not None and not self._places:
            self._places = as_pointers("/tid")
        self._tenants = _translations(tenants)
        self._refuse_misuse(tenants)

    def _refuse_misuse(self, tenants: Tenants | None) -> None:
        says_which = self._any or tenants is not None
        if self._fixed is not None:
            if not isinstance(self._fixed, str) or not self._fixed:
                raise MisuseError(f"tenant is a text that is not empty, not {self._fixed!r}")
            if says_which or self._places:
                raise MisuseError(
                    "tenant is the tenant of all tokens: leave tenants, any_tenant and tenant_at "
                    "out, or leave tenant out"
                )
        elif self._any and tenants is not None:
            raise MisuseError("any_tenant lets every tenant in: leave it or tenants out")
        elif self._places and not says_which:
            raise MisuseError(
                "an issuer that names tenants needs tenants=[...], those that it may speak for; "
                "any_tenant=True lets every tenant in that its tokens name"
            )
        elif says_which and not self._places:
            raise MisuseError("tenants needs to know where they stand: write tenant_at='/tid'")

    def speaks_for(self, issuer: str) -> bool:
        """Whether this `iss` is the issuer's, to the letter but for the tenant."""
        if self._pattern is None:
            return issuer == self._issuer
        return self._pattern.fullmatch(issuer) is not None

    def tenant_of(self, payload: Mapping[str, Any]) -> str | None:
        """The tenant of a payload by our name for it, None where the issuer has no tenants.

        Raises `ClaimMissing` for a token that names none, `ClaimInvalid` for one that the issuer
        may not speak for, `IssuerInvalid` where `iss` names another than the claim does.
        """
        if not self._places:
            return self._fixed
        found = next(filter(None, (place.string(payload) for place in self._places)), None)
        if found is None:
            raise ClaimMissing("the claim that names the tenant is missing")
        if self._pattern is not None:
            named = self._pattern.fullmatch(payload.get("iss", ""))
            if named is None or named[1] != found:
                raise IssuerInvalid("iss is that of another tenant than the one that is named")
        if self._any:
            return found
        if found not in self._tenants:
            raise ClaimInvalid("the issuer may not speak for the tenant that is named")
        return self._tenants[found]


def _pattern(issuer: str) -> re.Pattern[str] | None:
    """What matches the `iss` of each tenant, None for an issuer without one in it."""
    if TENANT not in issuer:
        if "{" in issuer or "}" in issuer:
            raise MisuseError(f"the issuer {issuer!r} has braces: the tenant's are {TENANT}")
        return None
    before, *after = issuer.split(TENANT)
    if len(after) != 1:
        raise MisuseError(f"the issuer {issuer!r} names the tenant twice")
    return re.compile(f"{re.escape(before)}([A-Za-z0-9-]+){re.escape(after[0])}")


def _translations(tenants: Tenants | None) -> dict[str, str]:
    if tenants is None:
        return {}
    if isinstance(tenants, str | bytes) or not isinstance(tenants, Collection) or not tenants:
        raise MisuseError(f"tenants is a list of tenants, not {tenants!r}")
    pairs = tenants.items() if isinstance(tenants, Mapping) else ((name, name) for name in tenants)
    translations = dict(pairs)
    for name in (*translations, *translations.values()):
        if not isinstance(name, str) or not name:
            raise MisuseError(f"a tenant is a text that is not empty, not {name!r}")
    return translations
