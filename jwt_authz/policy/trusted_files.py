"""Trusted files: refuses configuration that every user of the machine can write."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import MisuseError


def refuse_world_writable(path: str | os.PathLike[str]) -> None:
    """Raise `MisuseError` if every user of the machine can write or replace the file.

    Its folder, and that of the target of a symbolic link, must not be world-writable either,
    unless sticky as `/tmp` is. A missing file passes, and so does every file on Windows, where
    the mode does not say who can write.
    """
    if os.name != "posix":
        return
    file = Path(path)
    for place in (file, file.parent, Path(os.path.realpath(file)).parent):
        try:
            mode = place.stat().st_mode
        except OSError:
            return
        if mode & stat.S_IWOTH and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
            raise MisuseError(
                f"Every user of this machine can write {place}: remove that permission with "
                f"chmod o-w {place}"
            )
