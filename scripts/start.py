"""Run a module of this project in its own environment, using only python3 and pip.

    python3 scripts/start.py MODULE [ARGUMENT ...]

The first start creates .venv next to pyproject.toml and installs the project with its extra
`test`; so does the first start after a change of pyproject.toml. Then it runs `python -m MODULE
...` in that environment, in the project's folder, and passes on the exit code.
"""

import hashlib
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

try:
    from ensurepip import version as bundled_pip
except ImportError:  # Debian has it in a separate package
    bundled_pip = None

if sys.version_info < (3, 11):  # noqa: UP036 - it may be started with an older version
    sys.exit("jwt_authz needs Python 3.11 or later")

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv"
STAMP = HOME / "installed.sha256"
SCRIPTS = sysconfig.get_path("scripts", "venv", {"base": str(HOME)})
PYTHON = os.path.join(SCRIPTS, "python")


def main(command: list[str]) -> int:
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    if not STAMP.exists() or STAMP.read_text() != fingerprint():
        install()
    os.chdir(ROOT)
    if os.name == "posix":  # become the command, so that signals reach it
        os.execv(PYTHON, [PYTHON, "-m", *command])
    return subprocess.call([PYTHON, "-m", *command])


def fingerprint() -> str:
    made_of = ((ROOT / "pyproject.toml").read_bytes(), str(ROOT), sys.version_info[:2])
    return hashlib.sha256(repr(made_of).encode()).hexdigest()


def install() -> None:
    print(f"Installing into {HOME}, this takes a minute or two ...", file=sys.stderr)
    # With a stamp it is outdated: start over. Without one, an install was interrupted: continue.
    venv.create(HOME, clear=STAMP.exists(), symlinks=os.name == "posix", with_pip=bool(bundled_pip))
    own, outer = [PYTHON, "-m", "pip"], [sys.executable, "-m", "pip", "--python", PYTHON]
    pip = own if bundled_pip else outer
    quiet = ("--quiet", "--disable-pip-version-check")
    if subprocess.call([*pip, "install", *quiet, "--editable", f"{ROOT}[test]"]):
        sys.exit(f"{' '.join(pip)} could not install; the next start tries again.")
    STAMP.write_text(fingerprint())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
