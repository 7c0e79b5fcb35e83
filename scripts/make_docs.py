"""Write the generated parts of the documentation: reference, settings, files, tests by number.

    python scripts/make_docs.py            # writes them
    python scripts/make_docs.py --check    # shows the differences and exits with 1 if any are stale

The reference is read from the sources, so it needs none of the extras.
"""

from __future__ import annotations

import ast
import difflib
import functools
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from jwt_authz.findings import CHECKS  # noqa: E402
from jwt_authz.settings import settings_table  # noqa: E402
from scripts import withstood  # noqa: E402

LIBRARY = ROOT / "jwt_authz"
Function = ast.FunctionDef | ast.AsyncFunctionDef

# The modules of the reference, and the names of those that also have internal ones.
MODULES: dict[str, str] = {
    "jwt_authz": "",
    "jwt_authz.findings": "Finding",
    "jwt_authz.policy.role_sources": "",
    "jwt_authz.policy.requirements": "And Or Not FunctionRequirement",
    "jwt_authz.conditions": "subject tenant issuer claim now one_instant Condition",
    "jwt_authz.policy.decision": "Verdict",
    "jwt_authz.policy.permissions": "PermissionSet",
    "jwt_authz.policy.identity": "Claims",
    "jwt_authz.issuers": "Issuer auth0 cognito entra_v1 entra_v2 firebase keycloak okta rfc9068 "
    "supabase members_of pointer",
    "jwt_authz.issuers.claim_checks": "NOT_ACCESS_TOKENS",
    "jwt_authz.guards.overrides": "Override Additional RequirementBag overrides additions Manager "
    "OverrideManager AdditionalManager current_overrides current_additions",
    "jwt_authz.audit": "changed decided",
    "jwt_authz.contrib.prometheus": "",
    "jwt_authz.contrib.authzen": "",
    "jwt_authz.contrib.marshmallow": "",
    "jwt_authz.contrib.sqlalchemy": "",
    "jwt_authz.guards.tenants": "",
    "jwt_authz.testing": "",
    "jwt_authz.openapi": "",
    "jwt_authz.openapi.generator": "",
    "jwt_authz.contrib.browser": "",
    "jwt_authz.contrib.sessions": "",
    "jwt_authz.endpoints": "",
    "jwt_authz.admin": "",
    "jwt_authz.accounts": "",
    "jwt_authz.accounts.memory": "",
    "jwt_authz.accounts.sqlalchemy": "",
    "jwt_authz.accounts.models": "",
    "jwt_authz.accounts.passwords": "",
    "jwt_authz.refusals": "AuthorizationUnavailable",
    "jwt_authz.errors": "",
    "jwt_authz.policy.problem": "not_allowed token_invalid token_missing unavailable "
    "wrong_credentials",
}


def reference() -> str:
    """Return the page of the reference."""
    lines = ["# Reference", "", "Made from the docstrings by `scripts/make_docs.py`.", ""]
    listed: set[ast.AST] = set()
    for module, names in MODULES.items():
        found = (resolve(source_of(module), name) for name in names.split() or public(module))
        new = {node: text for node, text in found if node not in listed}
        listed.update(new)
        lines += [f"## {module}", "", *(line for item in new.items() for line in entry(*item))]
    return "\n".join(lines)


def source_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def public(module: str) -> list[str]:
    """Return a module's `__all__`, or else the classes and functions that it defines, in order."""
    body = parsed(source_of(module)).body
    for node in body:
        if isinstance(node, ast.Assign) and name_of(node) == "__all__":
            return list(ast.literal_eval(node.value))
    defined = (node.name for node in body if isinstance(node, ast.ClassDef | Function))
    return [name for name in defined if not name.startswith("_")]


def name_of(node: ast.stmt) -> str | None:
    target = getattr(node, "target", None) or getattr(node, "targets", [None])[0]
    return getattr(node, "name", None) or getattr(target, "id", None)


def decorators(node: ast.stmt) -> set[str]:
    return {ast.unparse(decorator) for decorator in getattr(node, "decorator_list", ())}


def resolve(path: Path, name: str) -> tuple[ast.stmt, str]:
    """Return the node that defines a name, following imports, and its docstring."""
    body = parsed(path).body
    for node, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        if name_of(node) == name and "overload" not in decorators(node):
            return node, docstring(node, after)
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            folder = path.parents[node.level - 1]
            parts = [*folder.relative_to(ROOT).parts, *(node.module or "").split(".")]
            return resolve(source_of(".".join(filter(None, parts))), name)
    raise SystemExit(f"{name} is not in {path}: fix MODULES in scripts/make_docs.py")


def docstring(node: ast.stmt, after: ast.stmt) -> str:
    if isinstance(node, ast.ClassDef | Function):
        return ast.get_docstring(node) or ""
    is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    return " ".join(str(after.value.value).split()) if is_text else ""


def entry(node: ast.stmt, text: str) -> Iterator[str]:
    """Yield the lines of one name: its signature, its docstring, and the members of a class."""
    yield from (f"### {name_of(node)}", "", f"`{signature(node)}`", "")
    if text:
        yield from (with_examples(text), "")
    if isinstance(node, ast.ClassDef):
        members = [line for member in node.body for line in member_lines(member)]
        yield from [*members, ""] if members else []


def with_examples(text: str) -> str:
    """Return a docstring with each of its examples in a code block."""
    return _EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", text).rstrip()


# From the first prompt to the next blank line.
_EXAMPLE = re.compile(r"^>>> .*\n?(?:.+\n?)*", re.MULTILINE)


def member_lines(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, Function) and not node.name.startswith("_"):
        text = ast.get_docstring(node)
        if text:
            yield f"- `{signature(node)}`: {' '.join(_EXAMPLE.sub('', text).split())}"


def signature(node: ast.stmt) -> str:
    """Return how a name is called, without `self`; a property and a value as written."""
    if isinstance(node, ast.ClassDef):
        return class_signature(node)
    if not isinstance(node, Function):
        return ast.unparse(node)
    if "property" in decorators(node):
        return node.name
    called = re.sub(r"^(self|cls)(: \w+)?(, |$)", "", ast.unparse(node.args))
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({called}){returned}"


def class_signature(node: ast.ClassDef) -> str:
    """Return the signature of a class's constructor, or else its bases."""
    made = next((member for member in node.body if name_of(member) == "__init__"), None)
    if made is not None:
        return signature(made).replace("__init__", node.name, 1).removesuffix(" -> None")
    fields = [ast.unparse(each) for each in node.body if isinstance(each, ast.AnnAssign)]
    if not any("dataclass" in decorator for decorator in decorators(node)):
        fields = [ast.unparse(base) for base in node.bases]
    asked = (re.sub(r"field\(.*\)$", "...", each) for each in fields if "init=False" not in each)
    return f"{node.name}({', '.join(asked)})"


def settings() -> str:
    """Return the table of the `AUTHZ_*` settings."""
    rows = ["| setting | default | values | meaning |", "| --- | --- | --- | --- |"]
    for name, default, wanted, meaning in settings_table():
        values = ", ".join(f"`{word}`" for word in wanted.split(" | ")) if "|" in wanted else wanted
        rows.append(f"| `{name}` | `{default}` | {values} | {meaning} |")
    return "\n".join(rows)


def contract_layers() -> list[list[str]]:
    """The layers of the import contract, top to bottom, each with its modules."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return [re.findall(r"\w+", line) for line in contract["contracts"][0]["layers"]]


def layers() -> str:
    """The layers of the import contract, one line each."""
    return "\n".join(["```text", *(" | ".join(names) for names in contract_layers()), "```"])


def checks() -> str:
    """The table of the checks, with what of them can be silenced."""
    rows = ["| code | severity | finding | can be silenced |", "| --- | --- | --- | --- |"]
    for code, check in CHECKS.items():
        severity = f"{check.severity}, command only" if check.for_command_only else check.severity
        silenced = "yes" if check.can_be_silenced else "never"
        rows.append(f"| [{code}](#{code.lower()}) | {severity} | {check.title} | {silenced} |")
    return "\n".join(rows)


def files() -> str:
    """The table of the library's files, from the lowest layer up, each with its first sentence."""
    rows = ["| file | what it is |", "| --- | --- |"]
    for name in (name for layer in reversed(contract_layers()) for name in layer):
        found = sorted((LIBRARY / name).rglob("*.py")) or [LIBRARY / f"{name}.py"]
        rows += [row(path) for path in found if path.exists()]
    return "\n".join([*rows, row(LIBRARY / "__init__.py")])


def row(path: Path) -> str:
    return f"| `{path.relative_to(LIBRARY)}` | {about(path)} |"


def about(path: Path) -> str:
    text = ast.get_docstring(parsed(path)) or ""
    return " ".join(text.split("\n\n")[0].split())


def between(text: str, name: str, made: str) -> str:
    """Return a page with the generated text between its two marks."""
    marks = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not marks.search(text):
        raise SystemExit(f"no <!-- {name}: ... --> and <!-- end of {name} --> to write between")
    return marks.sub(lambda found: f"{found[1]}{made}\n{found[2]}", text)


# The generated parts of pages, each between its two marks.
PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "settings": ("settings", settings),
    "checks": ("checking", checks),
    "layers": ("architecture", layers),
    "files": ("architecture", files),
    "failures": ("reliability", functools.partial(withstood.table, "1")),
    "requirements": ("reliability", functools.partial(withstood.table, "2")),
    "faults": ("reliability", functools.partial(withstood.table, "F")),
}


def main(arguments: list[str]) -> int:
    docs = ROOT / "docs"
    made = {docs / "reference.md": reference()}
    for name, (page, part) in PARTS.items():
        path = docs / f"{page}.md"
        made[path] = between(made.get(path) or path.read_text(), name, part())
    stale = False
    for path, text in made.items():
        before = path.read_text() if path.exists() else ""
        if before != text and arguments == ["--check"]:
            stale = True
            names = (str(path.relative_to(ROOT)), "as the code has it")
            print(*difflib.unified_diff(before.split("\n"), text.split("\n"), *names), sep="\n")
        elif before != text:
            path.write_text(text)
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
