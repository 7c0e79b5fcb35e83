"""The benchmark runs and proves what it measures; how fast anything is, no test asserts."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
ROWS = (
    "bare handler",
    "jwt_required",
    "jwt_required, role by hand",
    "jwt_authz, warm",
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
