"""The types that a user's own checker sees: `views.py` is clean, `wrong.py` wrong where it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

pytest.importorskip("mypy")


def mypy(name: str, cache: Path) -> list[str]:
    """The lines that mypy, strict, says of one of the files beside this one."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--show-error-codes", "--no-error-summary"),
            *("--hide-error-context", "--no-pretty", "--follow-imports=silent"),
            *("--config-file=", f"--cache-dir={cache}", str(HERE / name)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own cache where there is one, so that a run takes a second and not ten."""
    kept = ROOT / ".mypy_cache"
    return kept if kept.is_dir() else tmp_path_factory.mktemp("mypy")


@pytest.mark.slow
def test_guarded_views_keep_their_signature_and_the_rest_is_typed(cache: Path) -> None:
    assert mypy("views.py", cache) == []


@pytest.mark.slow
def test_an_error_is_reported_at_the_line_that_is_wrong(cache: Path) -> None:
    expected = {
        (number, code)
        for number, line in enumerate((HERE / "wrong.py").read_text().splitlines(), 1)
        for code in re.findall(r"# E: ([\w-]+)", line)
    }
    found = {
        (int(number), code)
        for line in mypy("wrong.py", cache)
        for number, code in re.findall(r"wrong\.py:(\d+): error: .*\[([\w-]+)\]$", line)
    }
    assert found == expected
