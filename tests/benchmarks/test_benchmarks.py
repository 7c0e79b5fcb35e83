"""The benchmark runs and proves what it measures; how fast anything is, no test asserts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from jwt_authz.tokens.encodings import ENCODINGS
from tests.benchmarks.filters import CASES
from tests.benchmarks.sizes import COUNTS

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
ROWS = (
    "bare handler",
    "jwt_required",
    "jwt_required, role by hand",
    "jwt_authz, warm",
    "jwt_authz, warm, revocable",
    "jwt_authz, warm, allowed calls logged",
    "jwt_authz, cold",
)


def test_a_short_run_of_peers_shows_refusals_and_prints_a_row_for_each_contender() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.peers", "--quick", "--rounds=1"]
    done = subprocess.run(
        [*command, "--bytes", "700", "--algorithms", "HS256", "--markdown"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Shown before timing: 200 to a good token, refused no token" in done.stdout
    assert "Shown after timing: a token accepted before the timing and expired since" in done.stdout
    for row in ROWS:
        assert f"\n{row}  " in done.stdout
        assert f"\n| {row} " in done.stdout


def test_a_short_run_of_the_large_matrix_prints_a_row_for_each_report() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.matrix", "--quick", "--markdown"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| the ")]
    assert [row.split("|")[1].strip() for row in rows] == [
        "the matrix",
        "the matrix, as JSON",
        "the matrix, as a page",
        "the routes",
        "the check",
    ]


def test_the_table_of_sizes_in_the_documentation_is_the_one_that_its_command_prints() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.sizes"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    page = (PROJECT / "docs" / "tokens.md").read_text()
    shown = page.partition("sizes -->\n")[2].partition("<!-- end of sizes")[0]
    assert shown.splitlines()[0] == done.stdout.splitlines()[0]
    in_page, printed = numbers(shown), numbers(done.stdout)
    assert len(in_page) == len(printed) == len(COUNTS) * (1 + len(ENCODINGS))
    for documented, measured in zip(in_page, printed, strict=True):
        assert abs(documented - measured) <= 12  # times are written in more digits or in fewer


def numbers(table: str) -> list[int]:
    return [int(cell.replace(",", "")) for cell in re.findall(r"[\d,]*\d", table)]


def test_a_short_run_of_filters_finds_the_same_rows_both_ways_and_prints_its_table() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.filters", "--rows=3000", "--rounds=3"]
    done = subprocess.run(
        [*command, "--postgres="],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not done.stderr
    assert re.findall(r"\| SQLite, 3,000 rows \| ([^|]+) \|", done.stdout) == list(CASES)


def test_what_valgrind_counts_answers_the_requests_that_count_and_no_other_contender() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.instructions", "--requests=3"]
    wanted = ["--contenders", "jwt_authz, warm", "--answer", "all"]
    done = subprocess.run(
        [*command, *wanted], cwd=PROJECT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    unknown = subprocess.run(
        [*command, "--contenders", "warm"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert unknown.returncode != 0
    assert "there is no contender 'warm': write one of bare handler; " in unknown.stderr
