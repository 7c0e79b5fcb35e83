"""Files that decide who may do what must not be open to changes by every user of the machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import MisuseError


def refuse_world_writable(path: str | os.PathLike[str]) -> None:
    """Raise `MisuseError` if every user of the machine may write the file, or replace it.

    A folder that all may write counts unless it is sticky, as `/tmp` is: the file's own, and that
    of a symbolic link to it. Windows, where the mode
    does not say who may write, and files that are not there pass.
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
                f"Every user of this machine may write {place}: take that permission away with "
                f"chmod o-w {place}"
            )
