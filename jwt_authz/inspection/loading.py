"""Loading: an application from another folder, in a process of its own, and its access matrix."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from flask.cli import ScriptInfo

from .access import read_access
from .documents import access_as_json

_LIBRARY = Path(__file__).resolve().parents[1]


def write_matrix(paths: list[str], target: str | None, top: str, tree: str, written: str) -> None:
    """Load what `target` names from `paths`, and write its matrix as JSON to the file `written`.

    Ends the process with a message where a module came from the working tree `top`, and not from
    the folder `tree` that stands for it: the matrix would be that of today's code.
    """
    sys.path[:] = paths
    app = ScriptInfo(app_import_path=target).load_app()
    for file in _loaded_from(Path(top), but_for=(Path(tree), _LIBRARY, Path(sys.prefix).resolve())):
        sys.exit(f"{file} is loaded from the working tree: install nothing from it, or give a FILE")
    with app.app_context():
        Path(written).write_text(access_as_json(read_access()))


def _loaded_from(folder: Path, but_for: tuple[Path, ...]) -> Iterator[Path]:
    """The files of the modules that were imported from a folder."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    for path in (Path(file).resolve() for file in files if isinstance(file, str)):
        if path.is_relative_to(folder) and not any(map(path.is_relative_to, but_for)):
            yield path
