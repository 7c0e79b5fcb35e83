"""Tenants: the tenants that an issuer may speak for, and where its tokens name them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from ..errors import ClaimInvalid, ClaimMissing, IssuerInvalid, MisuseError
from .pointers import Places, as_pointers

TENANT = "{tenantid}"
"""The placeholder for the tenant in the issuer of several, as in Microsoft Entra's metadata."""

Tenants = Mapping[str, str] | Collection[str]
"""The issuer's tenants and our names for them; a collection stands for names that are the same."""


class TenantRule:
    """The tenants of an issuer's tokens: one, some, any, or none."""

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
                raise MisuseError(f"Invalid tenant {self._fixed!r}: expected a non-empty string.")
            if says_which or self._places:
                raise MisuseError(
                    "tenant= is the tenant of all tokens: remove it, or remove tenants, "
                    "any_tenant and tenant_at."
                )
        elif self._any and tenants is not None:
            raise MisuseError("any_tenant accepts every tenant: remove it or tenants.")
        elif self._places and not says_which:
            raise MisuseError(
                "An issuer with tenants needs tenants=[...], the ones that it may speak for, "
                "or any_tenant=True to accept every tenant that its tokens name."
            )
        elif says_which and not self._places:
            raise MisuseError(
                "tenants= needs the place of the tenant in a token: write tenant_at='/tid'."
            )

    def speaks_for(self, issuer: str) -> bool:
        """Return whether this `iss` is exactly the issuer's, with any value for the tenant."""
        if self._pattern is None:
            return issuer == self._issuer
        return self._pattern.fullmatch(issuer) is not None

    def tenant_of(self, payload: Mapping[str, Any]) -> str | None:
        """Return our name for the tenant of a payload; None if the issuer has no tenants.

        Raises `ClaimMissing` for a token without a tenant, `ClaimInvalid` for a tenant that the
        issuer may not speak for, and `IssuerInvalid` if `iss` names another tenant than the claim.
        """
        if not self._places:
            return self._fixed
        found = next(filter(None, (place.string(payload) for place in self._places)), None)
        if found is None:
            raise ClaimMissing("the claim of the tenant is missing")
        if self._pattern is not None:
            named = self._pattern.fullmatch(payload.get("iss", ""))
            if named is None or named[1] != found:
                raise IssuerInvalid("iss names another tenant than the claim")
        if self._any:
            return found
        if found not in self._tenants:
            raise ClaimInvalid("the issuer is not trusted for this tenant")
        return self._tenants[found]


def _pattern(issuer: str) -> re.Pattern[str] | None:
    """Return a pattern for the `iss` of each tenant; None if the issuer has no placeholder."""
    if TENANT not in issuer:
        if "{" in issuer or "}" in issuer:
            raise MisuseError(f"Invalid issuer {issuer!r}: the only placeholder is {TENANT}.")
        return None
    before, *after = issuer.split(TENANT)
    if len(after) != 1:
        raise MisuseError(f"Invalid issuer {issuer!r}: it contains the tenant twice.")
    return re.compile(f"{re.escape(before)}([A-Za-z0-9-]+){re.escape(after[0])}")


def _translations(tenants: Tenants | None) -> dict[str, str]:
    if tenants is None:
        return {}
    if isinstance(tenants, str | bytes) or not isinstance(tenants, Collection) or not tenants:
        raise MisuseError(f"Invalid tenants {tenants!r}: expected a list of tenants.")
    pairs = tenants.items() if isinstance(tenants, Mapping) else ((name, name) for name in tenants)
    translations = dict(pairs)
    for name in (*translations, *translations.values()):
        if not isinstance(name, str) or not name:
            raise MisuseError(f"Invalid tenant {name!r}: expected a non-empty string.")
    return translations
