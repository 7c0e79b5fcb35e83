"""Flask-Allows' overrides and additional requirements, on top of jwt_authz's.

The contexts are those of `jwt_authz.guards.overrides`, so they also affect native guards.
"""

from __future__ import annotations

from typing import Any

from ..guards import overrides as native
from ..policy.requirements import FunctionRequirement

current_overrides: Any = native.current_overrides
current_additions: Any = native.current_additions


def _as_given(value: Any) -> Any:
    return value.function if isinstance(value, FunctionRequirement) else value


class Override(native.Override):
    """Requirements that are skipped in each check, stored as they were passed."""

    _read = staticmethod(_as_given)


class Additional(native.Additional):
    """Requirements that are added to each check, stored as they were passed."""

    _read = staticmethod(_as_given)


class OverrideManager(native.OverrideManager):
    """Push and pop overrides; `allows.overrides` is an instance."""

    def pop(self) -> None:
        """Pop the last override; raise `RuntimeError` if another manager pushed it."""
        if self.drop() is not self:
            raise RuntimeError("popped wrong override context: call pop() once for each push()")

    def clear(self) -> None:
        """Pop all overrides; raise `RuntimeError` at one that another old manager pushed."""
        while self.current is not None:
            if self.drop() not in (self, native.overrides):
                raise RuntimeError("popped wrong override context: another manager pushed it")


class AdditionalManager(native.AdditionalManager):
    """Push and pop additional requirements; `allows.additional` is an instance."""

    def pop(self) -> None:
        """Pop the last addition; raise `RuntimeError` if another manager pushed it."""
        if self.drop() is not self:
            raise RuntimeError("popped wrong additional context: call pop() once for each push()")

    def clear(self) -> None:
        """Pop all additions; raise `RuntimeError` at one that another old manager pushed."""
        while self.current is not None:
            if self.drop() not in (self, native.additions):
                raise RuntimeError("popped wrong additional context: another manager pushed it")
