"""Flask-Allows' overrides and additions: this library's own, by the old names and rules.

The contexts are those of `jwt_authz.guards.overrides`: what is pushed here reaches native guards,
too.
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
    """Requirements that are left out of each check; holds them as they are given."""

    _read = staticmethod(_as_given)


class Additional(native.Additional):
    """Requirements that each check asks, too, once; holds them as they are given."""

    _read = staticmethod(_as_given)


class OverrideManager(native.OverrideManager):
    """Pushes and pops overrides; `allows.overrides` is one."""

    def pop(self) -> None:
        """End what was pushed last; raises `RuntimeError` if that was not by this manager."""
        if self.drop() is not self:
            raise RuntimeError("popped wrong override context: pop() once for each own push()")

    def clear(self) -> None:
        """End all; raises `RuntimeError` at what another of the old managers pushed."""
        while self.current is not None:
            if self.drop() not in (self, native.overrides):
                raise RuntimeError("popped wrong override context: another manager pushed it")


class AdditionalManager(native.AdditionalManager):
    """Pushes and pops additions; `allows.additional` is one."""

    def pop(self) -> None:
        """End what was pushed last; raises `RuntimeError` if that was not by this manager."""
        if self.drop() is not self:
            raise RuntimeError("popped wrong additional context: pop() once for each own push()")

    def clear(self) -> None:
        """End all; raises `RuntimeError` at what another of the old managers pushed."""
        while self.current is not None:
            if self.drop() not in (self, native.additions):
                raise RuntimeError("popped wrong additional context: another manager pushed it")
