"""Get the access matrix of an application at a git revision."""

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
# The child must use this copy of the library, not one next to the application: so it comes first.
_CHILD = (
    "import json, sys; asked = json.loads(sys.argv[1]); "
    "sys.path.insert(0, asked.pop('library')); "
    "from jwt_authz.inspection.loading import write_matrix; write_matrix(**asked)"
)


def matrix_at(revision: str, target: str | None) -> AccessMatrix:
    """Return the matrix of the application that `flask --app TARGET` finds at a revision.

    The revision is checked out into a temporary worktree, without hooks, and its application is
    loaded in a child process, in the folder that corresponds to the current one. `target` is None
    if Flask looks for `wsgi.py` or `app.py`. The child has the same environment, but no files that
    git ignores, such as settings. Raise `MisuseError` if the revision does not exist, or if its
    application cannot be loaded or is partly outside of it.
    """
    commit = _commit(revision)
    top = Path(_git("rev-parse", "--show-toplevel"))
    prefix = _git("rev-parse", "--show-prefix")
    with _worktree(commit) as tree:
        if not (tree / prefix).is_dir():
            raise MisuseError(
                f"{revision} has no folder {prefix}: run the command in the application's folder"
            )
        written = tree.parent / "matrix.json"
        asked = {
            "library": str(_LIBRARY),
            "paths": [_moved(path, top, tree) for path in sys.path],
            "target": target and _moved_target(target, top, tree),
            "top": str(top),
            "tree": str(tree),
            "written": str(written),
        }
        message = _run_child(asked, tree / prefix)
        if not written.exists():
            raise MisuseError(f"the application at {revision} cannot be loaded: {message}")
        return access_from_json(written.read_bytes(), f"the output of {revision}")


def _run_child(asked: dict[str, Any], folder: Path) -> str:
    """Load the application in a child process; return the last line of its error output."""
    done = subprocess.run(  # noqa: S603 this Python, and no text of others in the command
        [sys.executable, "-P", "-c", _CHILD, json.dumps(asked)],
        cwd=folder,
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.stderr.strip().rpartition("\n")[2] or f"its process exited with {done.returncode}"


def _commit(revision: str) -> str:
    try:
        return _git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    except MisuseError as error:
        raise MisuseError(f"{revision} is neither a file nor a git revision: {error}") from None


@contextmanager
def _worktree(commit: str) -> Iterator[Path]:
    """Check out a commit into a temporary worktree, which is removed at the end of the block."""
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
        raise MisuseError(
            "comparing with a revision needs git, which is not installed: pass the FILE of a matrix"
        )
    done = subprocess.run(  # noqa: S603 git, with arguments that it does not take for options
        [command, *arguments], env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        message = done.stderr.strip().rpartition("\n")[2]
        raise MisuseError(f"git failed: {message}")
    return done.stdout.removesuffix("\n")


def _environment() -> dict[str, str]:
    """Return the environment without git's variables: a git hook sets some that would interfere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def _moved(path: str, top: Path, tree: Path) -> str:
    """Return an import path, moved to the worktree if it is in the working tree."""
    whole = Path(path or ".").resolve()
    if not whole.is_relative_to(top) or whole.is_relative_to(Path(sys.prefix).resolve()):
        return path
    return str(tree / whole.relative_to(top))


def _moved_target(target: str, top: Path, tree: Path) -> str:
    """Return the value of `--app`, moved to the worktree if it is an absolute path."""
    path, colon, name = target.partition(":")
    return f"{_moved(path, top, tree)}{colon}{name}" if Path(path).is_absolute() else target
