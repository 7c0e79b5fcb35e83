"""Load an application from another folder, in a child process, and write its access matrix."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from flask.cli import ScriptInfo

from .access import read_access
from .documents import access_as_json

_LIBRARY = Path(__file__).resolve().parents[1]


def write_matrix(paths: list[str], target: str | None, top: str, tree: str, written: str) -> None:
    """Load the application `target` from `paths`, and write its matrix as JSON to `written`.

    Exit with a message if a module was imported from the working tree `top` instead of the
    worktree `tree`: the matrix would describe the current code.
    """
    sys.path[:] = paths
    app = ScriptInfo(app_import_path=target).load_app()
    for file in _loaded_from(Path(top), but_for=(Path(tree), _LIBRARY, Path(sys.prefix).resolve())):
        sys.exit(
            f"{file} is loaded from the working tree: uninstall what is installed from it, or "
            "compare with a FILE"
        )
    with app.app_context():
        Path(written).write_text(access_as_json(read_access()))


def _loaded_from(folder: Path, but_for: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the files of the modules that were imported from a folder."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    for path in (Path(file).resolve() for file in files if isinstance(file, str)):
        if path.is_relative_to(folder) and not any(map(path.is_relative_to, but_for)):
            yield path
