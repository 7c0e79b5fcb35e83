"""Reading a page of the documentation, and doing what it tells its reader to do.

A page's ```python blocks are run in order as one module. A block whose fence says `output` is
what the block before it prints. A ```console block holds commands behind `$ ` and what they
print; they meet the module as it stands there: its application answers at 127.0.0.1:5000, and
its text lies beside them in a file of its name, as do the files that `flask ... > FILE` wrote
before. A ```sh block is for the reader alone.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import shlex
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner
from flask import Flask
from flask.cli import ScriptInfo
from sqlalchemy import Engine
from werkzeug.serving import WSGIRequestHandler, make_server

from jwt_authz.application import KEY
from jwt_authz.audit import decided
from jwt_authz.cli.main import authz as authz_commands
from jwt_authz.guards.overrides import InUse
from tests.other_plugins import ALONE

_FENCE = re.compile(
    r"^(?P<skip><!-- not run[^\n]*-->\n)?```(?P<language>\w*)(?P<words>[^\n]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_ROOT = Path(__file__).resolve().parents[2]
_SERVED_AT = "http://127.0.0.1:5000"
# What differs from run to run, and headers that no reader of the page asks about.
_VARIES = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+"), "<token>"),
    (re.compile(r"eyJ\w*\.\.\."), "<token>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<subject>"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "<kid>"),
    (re.compile(r"in \d+\.\d+s"), "in <time>"),
    (re.compile(r"^(Server|Date|Connection|Content-Length): .*\n", re.MULTILINE), ""),
    (re.compile(r"\bline \d+"), "line <n>"),
    (re.compile(r"(token has|would fit with) \d+ bytes"), r"\1 <n> bytes"),
    (re.compile(r"[ \t\r]+$", re.MULTILINE), ""),
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the other words of its fence, its text and its line."""

    language: str
    words: tuple[str, ...]
    text: str
    line: int
    is_run: bool

    @property
    def is_output(self) -> bool:
        return "output" in self.words


@dataclass(frozen=True)
class Page:
    """A page of Markdown."""

    path: Path

    def __str__(self) -> str:
        return self.path.name

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def blocks(self) -> list[Block]:
        return [
            Block(
                found["language"],
                tuple(found["words"].split()),
                found["text"],
                self.text.count("\n", 0, found.start("text")),
                found["skip"] is None,
            )
            for found in _FENCE.finditer(self.text)
        ]

    @property
    def prose(self) -> str:
        return _FENCE.sub("", self.text)

    @property
    def links(self) -> list[str]:
        return [link for link in _LINK.findall(self.prose) if "://" not in link]

    @property
    def anchors(self) -> set[str]:
        """The names that a link into the page can end in, as GitHub makes them of headings."""
        words = (re.sub(r"[^\w\- ]", "", text.lower()) for text in _HEADING.findall(self.prose))
        return {text.replace(" ", "-") for text in words}

    @property
    def module_name(self) -> str:
        """What the page tells `flask --app` to load, else a name like the page's own."""
        named = re.search(r"flask --app (\w+)", self.text)
        return named[1] if named else self.path.stem.replace("-", "_").lower()

    def python_until(self, end: Block | None = None) -> list[Block]:
        """The blocks that make up the page's module, all or those before another block."""
        blocks = [b for b in self.blocks if b.language == "python" and b.is_run]
        return [b for b in blocks if end is None or b.line < end.line]

    def python_and_files_until(self, end: Block) -> list[Block]:
        """Those blocks, and between them the console blocks that write files."""
        writing = [b for b in self.blocks if b.language == "console" and files_of(b)]
        found = [*self.python_until(end), *(b for b in writing if b.line < end.line)]
        return sorted(found, key=lambda block: block.line)


@contextlib.contextmanager
def module_of(page: Page) -> Iterator[types.ModuleType]:
    """An empty module for a page; what its blocks leave behind in the process goes with it."""
    module = types.ModuleType(page.module_name)
    log, receivers = logging.getLogger("jwt_authz"), dict(decided.receivers)
    handlers, level, flags = list(log.handlers), log.level, (log.propagate, log.disabled)
    used, pushed = InUse.anything, set(InUse.pushed_at)
    before = sys.modules.get(page.module_name)
    sys.modules[page.module_name] = module
    try:
        yield module
    finally:
        close(module)
        del sys.modules[page.module_name]
        if before is not None:
            sys.modules[page.module_name] = before
        log.handlers, (log.propagate, log.disabled) = handlers, flags
        log.setLevel(level)
        for receiver in set(decided.receivers) - set(receivers):
            decided.receivers.pop(receiver)
        InUse.anything = used
        InUse.pushed_at.clear()
        InUse.pushed_at.update(pushed)


def close(module: types.ModuleType) -> None:
    """Give back what the module's applications and engines opened."""
    for made in vars(module).values():
        if isinstance(made, Engine):
            made.dispose()
        state = made.extensions.get(KEY) if isinstance(made, Flask) else None
        if state is not None and state._revocations is not None:
            state._revocations.stop()
            state._revocations.store.close()


def run(page: Page, block: Block, module: types.ModuleType) -> None:
    """Run a Python block; its errors name the page and the line."""
    code = compile("\n" * block.line + block.text, str(page.path), "exec")
    exec(code, module.__dict__)


def outputs(page: Page) -> Iterator[tuple[Block, str]]:
    """Run the page: each block that shows output, and what the block before it printed."""
    printed, start = io.StringIO(), 0
    with module_of(page) as module:
        for block in page.blocks:
            if block.language == "python" and block.is_run:
                start = printed.tell()
                with contextlib.redirect_stdout(printed):
                    run(page, block, module)
            elif block.is_output:
                yield block, printed.getvalue()[start:]


def commands(block: Block) -> list[tuple[str, str]]:
    """A console block's commands and what it says that they print."""
    found: list[tuple[str, str]] = []
    goes_on = False
    for line in block.text.splitlines(keepends=True):
        if goes_on or line.startswith("$ "):
            text = line if goes_on else line[2:]
            before = found.pop()[0] if goes_on else ""
            found.append((before + text, ""))
            goes_on = line.endswith("\\\n")
        else:
            command, output = found.pop()
            found.append((command, output + line))
    return found


def files_of(block: Block) -> list[str]:
    """The commands of a console block that write a file."""
    lines = (command for command, _ in commands(block))
    return [line for line in lines if line.startswith("flask ") and " > " in line]


def assignments_before(page: Page, end: Block) -> str:
    """The commands before a console block that set a shell variable used in it."""
    earlier = (b for b in page.blocks if b.language == "console" and b.line < end.line)
    lines = (command for block in earlier for command, _ in commands(block))
    named = ((line, re.match(r"([A-Z_]+)=", line)) for line in lines)
    return "".join(line for line, name in named if name and f"${name[1]}" in end.text)


def console(page: Page, block: Block, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Each command of a console block, what the page says it prints, and what it prints."""
    files: dict[str, str] = {}
    with module_of(page) as module:
        for source in page.python_and_files_until(block):
            if source.language == "console":
                for command in files_of(source):
                    _flask(command, module, folder)
                continue
            name = source.words[0] if source.words else f"{page.module_name}.py"
            files[name] = files.get(name, "") + source.text
            run(page, source, module)
        for name, text in files.items():
            (folder / name).write_text(text)
        with served(getattr(module, "app", None)) as url:
            variables = assignments_before(page, block).replace(_SERVED_AT, url)
            for command, shown in commands(block):
                if command.startswith("flask "):
                    printed, result = _flask(command, module, folder)
                    variables += f"(exit {result})\n"
                else:
                    text = variables + command.replace(_SERVED_AT, url)
                    printed = _shell(text, folder).replace(url, _SERVED_AT)
                if re.match(r"[A-Z_]+=", command):
                    variables += command.replace(_SERVED_AT, url)
                yield command, shown, printed


def _flask(command: str, module: types.ModuleType, folder: Path) -> tuple[str, int]:
    """What a `flask --app module[:name] authz ... [> FILE]` prints, and its exit code."""
    asked, _, file = command.strip().partition(" > ")
    _, _, target, group, *arguments = shlex.split(asked)
    assert group == "authz"
    app = getattr(module, target.partition(":")[2] or "app")
    script = ScriptInfo(create_app=lambda: app)
    result = CliRunner().invoke(authz_commands, arguments, obj=script)
    if not file:
        return result.output, result.exit_code
    (folder / file).write_text(result.stdout)
    return result.stderr, result.exit_code


def _shell(text: str, folder: Path) -> str:
    """What a shell prints in a folder where `python` and `pytest` are those of the tests."""
    python = Path(sys.executable).parent
    start = f'export PATH="{python}:$PATH" PYTHONPATH="{_ROOT}" PYTEST_ADDOPTS="{ALONE}"\n'
    finished = subprocess.run(
        ["bash", "-c", start + text],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return finished.stdout


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def served(app: Flask | None) -> Iterator[str]:
    """The URL at which an application answers inside the block."""
    if app is None:
        yield _SERVED_AT
        return
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def normalized(text: str) -> str:
    """A text without what differs from run to run."""
    for pattern, stands_for in _VARIES:
        text = pattern.sub(stands_for, text)
    return text.strip()
