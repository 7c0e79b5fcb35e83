"""The error that names the extra of a library that is not installed."""

from __future__ import annotations

import pytest

from jwt_authz._extras import needs_extra


def test_a_failed_import_names_the_extra_and_keeps_the_name_of_the_module() -> None:
    with pytest.raises(ImportError) as caught, needs_extra("a store", "redis-py", "redis"):
        import a_library_that_does_not_exist  # noqa: F401
    assert str(caught.value) == (
        "a store needs redis-py, which is not installed: pip install 'jwt_authz[redis]'"
    )
    assert caught.value.name == "a_library_that_does_not_exist"
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), needs_extra("a store", "redis-py", "redis"):
        1 / 0  # noqa: B018


def test_a_successful_import_binds_its_name() -> None:
    with needs_extra("a store", "the json module", "redis"):
        import json
    assert json.loads("1") == 1
