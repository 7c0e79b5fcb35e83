"""scripts/start.py, run on a real project that needs nothing from elsewhere."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each starts other processes

# An environment that was made without ensurepip has no pip; the Python that it was made from has.
PYTHON = sys.executable if find_spec("pip") else sys._base_executable
SCRIPT = Path(__file__).parent.parent / "scripts" / "start.py"

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "sample"
version = "1"
optional-dependencies.test = []
"""

# The least that pip asks of a build backend; it counts its calls, and fails on request.
BACKEND = """
import base64, hashlib, os, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    if os.path.exists("broken"):
        raise SystemExit("fails on request")
    with open("installs", "a") as installs:
        installs.write("x")
    files = {
        "sample.pth": os.getcwd(),
        "sample-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: sample\\nVersion: 1\\n"
            "Provides-Extra: test\\n",
        "sample-1.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\n"
            "Root-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    record = "".join(f"{name},,\\n" for name in [*files, "sample-1.dist-info/RECORD"])
    with zipfile.ZipFile(os.path.join(folder, "sample-1-py3-none-any.whl"), "w") as wheel:
        for name, text in {**files, "sample-1.dist-info/RECORD": record}.items():
            wheel.writestr(name, text)
    return "sample-1-py3-none-any.whl"
"""

COMMAND = """
import os, sys
print(os.getcwd(), sys.prefix, *sys.argv[1:], sep="\\n")
sys.exit(7)
"""


class Project:
    """A project that holds a copy of the script, in a folder whose name has spaces."""

    failed: subprocess.CompletedProcess[str]

    def __init__(self, parent: Path) -> None:
        self.root = parent / "a project with spaces"
        (self.root / "scripts").mkdir(parents=True)
        shutil.copy(SCRIPT, self.root / "scripts")
        (self.root / "pyproject.toml").write_text(PYPROJECT)
        (self.root / "backend.py").write_text(BACKEND)
        (self.root / "command.py").write_text(COMMAND)

    def start(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PYTHON, self.root / "scripts" / "start.py", *arguments],
            cwd=self.root.parent,
            env={**os.environ, "PIP_NO_INDEX": "1", **environment},
            capture_output=True,
            text=True,
        )

    @property
    def installs(self) -> int:
        calls = self.root / "installs"
        return len(calls.read_text()) if calls.exists() else 0


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path.resolve())


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One that could not be installed at first, and then was."""
    project = Project(tmp_path_factory.mktemp("started").resolve())
    (project.root / "broken").touch()
    project.failed = project.start("command")
    (project.root / "broken").unlink()
    first = project.start("command")
    assert first.returncode == 7, first.stderr
    assert "Installing into" in first.stderr
    assert project.installs == 1
    return project


def test_without_arguments_it_tells_how_to_use_it_and_exits_with_2(project: Project) -> None:
    outcome = project.start()
    assert outcome.returncode == 2
    assert "python3 scripts/start.py MODULE" in outcome.stderr
    assert not (project.root / ".venv").exists()


def test_the_exit_code_and_the_arguments_are_passed_on(started: Project) -> None:
    outcome = started.start("command", "--flag", "two words")
    assert outcome.returncode == 7
    assert outcome.stdout.splitlines()[2:] == ["--flag", "two words"]


def test_the_module_runs_in_the_environment_and_in_the_projects_folder(started: Project) -> None:
    folder, prefix = started.start("command").stdout.splitlines()
    assert Path(folder) == started.root
    assert Path(prefix) == started.root / ".venv"


def test_a_second_start_does_not_install_again(started: Project) -> None:
    before = started.installs
    outcome = started.start("command")
    assert started.installs == before
    assert outcome.stderr == ""


def test_a_changed_pyproject_is_installed_again_into_a_clean_environment(started: Project) -> None:
    before = started.installs
    left_over = started.root / ".venv" / "left_over"
    left_over.touch()
    with (started.root / "pyproject.toml").open("a") as pyproject:
        pyproject.write("# changed\n")
    assert started.start("command").returncode == 7
    assert started.installs == before + 1
    assert not left_over.exists()


def test_an_install_that_failed_is_repeated_at_the_next_start(started: Project) -> None:
    assert started.failed.returncode == 1
    assert "the next start tries again" in started.failed.stderr
    assert started.failed.stdout == ""


def test_without_ensurepip_the_outer_pip_installs_into_the_environment(project: Project) -> None:
    hidden = project.root / "hidden"
    hidden.mkdir()
    (hidden / "ensurepip.py").touch()  # in front of the real one, and empty
    outcome = project.start("command", PYTHONPATH=str(hidden))
    assert outcome.returncode == 7, outcome.stderr
    assert project.installs == 1
