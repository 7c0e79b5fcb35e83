"""Who may call what in the example: as it was agreed upon, and as the calls are answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from examples.api.roles import roles
from jwt_authz.testing import access_cases, assert_matrix


def test_the_matrix_is_the_one_that_was_agreed_upon(api: Any) -> None:
    """SECURITY 2.26."""
    assert_matrix(api.app, Path(__file__).parent / "access.md")


def test_every_role_is_let_in_and_kept_out_as_the_matrix_says(api: Any) -> None:
    """SECURITY 2.27."""
    cases = access_cases(api.app)
    for case in cases:
        case.check()
    assert {case.caller for case in cases} == {"not identified", "no role", *roles}
