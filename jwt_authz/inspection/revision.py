"""Revision: the access matrix of an application as it stood at a git revision."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import MisuseError
from .access import AccessMatrix
from .documents import access_from_json

_LIBRARY = Path(__file__).resolve().parents[2]
# The library that asks is this one, whichever lies beside the application; hence its folder first.
_CHILD = (
    "import json, sys; asked = json.loads(sys.argv[1]); "
    "sys.path.insert(0, asked.pop('library')); "
    "from jwt_authz.inspection.loading import write_matrix; write_matrix(**asked)"
)


def matrix_at(revision: str, target: str | None) -> AccessMatrix:
    """The matrix of the application that `flask --app TARGET` finds at a revision.

    The revision is checked out into a temporary worktree, without hooks, and its application is
    loaded in a process of its own, in the folder that is the current one here. `target` is None
    where Flask looks for `wsgi.py` or `app.py`. What git does not keep is not there (settings in
    ignored files, say), but for the environment. Raises `MisuseError` where there is no such
    revision, or its application cannot be loaded or lies partly outside of it.
    """
    commit = _commit(revision)
    top = Path(_git("rev-parse", "--show-toplevel"))
    prefix = _git("rev-parse", "--show-prefix")
    with _worktree(commit) as tree:
        if not (tree / prefix).is_dir():
            raise MisuseError(f"{revision} has no folder {prefix}: run this where the app lies")
        written = tree.parent / "matrix.json"
        asked = {
            "library": str(_LIBRARY),
            "paths": [_moved(path, top, tree) for path in sys.path],
            "target": target and _moved_target(target, top, tree),
            "top": str(top),
            "tree": str(tree),
            "written": str(written),
        }
        said = _run_child(asked, tree / prefix)
        if not written.exists():
            raise MisuseError(f"the application at {revision} cannot be loaded: {said}")
        return access_from_json(written.read_bytes(), f"what {revision} gave")


def _run_child(asked: dict[str, Any], folder: Path) -> str:
    """Load the application in a process of its own; returns the last that it said of an error."""
    done = subprocess.run(  # noqa: S603 this Python, and no text of others in the command
        [sys.executable, "-P", "-c", _CHILD, json.dumps(asked)],
        cwd=folder,
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.stderr.strip().rpartition("\n")[2] or f"it ended with {done.returncode}"


def _commit(revision: str) -> str:
    try:
        return _git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    except MisuseError as error:
        raise MisuseError(
            f"there is no file {revision}, and no revision of that name: {error}"
        ) from None


@contextmanager
def _worktree(commit: str) -> Iterator[Path]:
    """The commit's files in a folder of their own, which goes away with git's record of it."""
    with tempfile.TemporaryDirectory(prefix="jwt-authz-") as folder:
        tree = Path(folder).resolve() / "tree"
        no_hooks = ("-c", f"core.hooksPath={os.devnull}")
        _git(*no_hooks, "worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> str:
    command = shutil.which("git")
    if command is None:
        raise MisuseError("git is not here, and a revision was named: give the FILE of a matrix")
    done = subprocess.run(  # noqa: S603 git, with arguments that it does not take for options
        [command, *arguments], env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip().rpartition("\n")[2]
        raise MisuseError(f"git says {said}")
    return done.stdout.removesuffix("\n")


def _environment() -> dict[str, str]:
    """The environment without git's own: in a hook it names the index that is being committed."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def _moved(path: str, top: Path, tree: Path) -> str:
    """An import path, in the worktree where it lies in the working tree."""
    whole = Path(path or ".").resolve()
    if not whole.is_relative_to(top) or whole.is_relative_to(Path(sys.prefix).resolve()):
        return path
    return str(tree / whole.relative_to(top))


def _moved_target(target: str, top: Path, tree: Path) -> str:
    """What `--app` names, in the worktree where it is the absolute path of a file."""
    path, colon, name = target.partition(":")
    return f"{_moved(path, top, tree)}{colon}{name}" if Path(path).is_absolute() else target
