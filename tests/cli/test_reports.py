"""The commands `flask authz routes`, `matrix`, `who` and `can`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Blueprint, Flask

from jwt_authz import Role, Roles, exempt, guard, has_role, has_scope, requirement, requires
from jwt_authz.cli.main import authz
from tests.edge import bare_app, guarded_app


@requirement("is the buyer")
def buyer(identity: Any, order: Any) -> bool:
    return bool(identity.subject == order)


def shop(*roles: Role, read: Any = "order:read") -> Flask:
    given = roles or (
        Role("clerk", "order:read"),
        Role("manager", "order:*", includes="clerk"),
        Role("guest"),
    )
    app = guarded_app(authz={"roles": Roles(*given)}, name="shop")
    admin = Blueprint("admin", "admin", url_prefix="/admin")
    guard(admin, has_role("manager"))
    admin.add_url_rule("/users/", "users", lambda: "in")
    app.register_blueprint(admin)
    order = requires({"GET": buyer | has_role("clerk"), "PUT": "order:edit"}, on=lambda id: "ada")
    app.add_url_rule("/orders/<int:id>", "order", order(lambda id: "in"), methods=["GET", "PUT"])
    app.add_url_rule("/orders", "orders", requires(read)(lambda: "in"))
    app.add_url_rule("/health", "health", exempt(lambda: "in"))
    app.add_url_rule("/bare", "bare", lambda: "in")
    return app


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(authz, arguments)


def output_of(app: Flask, *arguments: str) -> str:
    """What a command prints, which must not fail."""
    result = run(app, *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def test_routes_are_shown_as_a_table() -> None:
    assert output_of(shop(), "routes") == (
        "method  rule              endpoint     guards           requirement\n"
        "GET     /admin/users/     admin.users  blueprint admin  has the role manager\n"
        "GET     /orders/<int:id>  order        view             is the buyer or has the role "
        "clerk\n"
        "PUT     /orders/<int:id>  order        view             has the permission order:edit\n"
        "GET     /orders           orders       view             has the permission order:read\n"
        "GET     /health           health       exempt           everybody\n"
        "GET     /bare             bare         NO GUARD         everybody\n"
    )


def test_routes_are_written_as_json_markdown_and_csv() -> None:
    assert [
        route["state"] for route in json.loads(output_of(shop(), "routes", "--json"))["routes"]
    ] == [
        *["guarded"] * 4,
        "exempt",
        "open",
    ]
    assert "| GET | /bare | bare | NO GUARD | everybody |\n" in output_of(
        shop(), "routes", "--markdown"
    )
    rows = list(csv.reader(io.StringIO(output_of(shop(), "routes", "--csv"))))
    assert rows[-1] == ["GET", "/bare", "bare", "NO GUARD", "everybody"]


def test_the_matrix_is_shown_as_a_table() -> None:
    shown = output_of(shop(), "matrix").splitlines()
    assert shown[0].split()[:4] == ["method", "rule", "not", "identified"]
    assert [line.split()[:7] for line in shown[1:4]] == [
        ["GET", "/admin/users/", "no", "no", "no", "yes", "no"],
        ["GET", "/orders/<int:id>", "no", "depends", "yes", "yes", "depends"],
        ["PUT", "/orders/<int:id>", "no", "no", "no", "yes", "no"],
    ]


def test_the_matrix_is_written_as_json_markdown_csv_and_html() -> None:
    document = json.loads(output_of(shop(), "matrix", "--json"))
    assert document["roles"] == ["clerk", "manager", "guest"]
    assert document["routes"][2]["access"] == {"clerk": "no", "manager": "yes", "guest": "no"}
    header = (
        "| method | rule | not identified | no role | clerk | manager | guest | requirement |\n"
    )
    assert output_of(shop(), "matrix", "--markdown").startswith(header)
    rows = list(csv.reader(io.StringIO(output_of(shop(), "matrix", "--csv"))))
    assert rows[-1] == ["GET", "/bare", *["yes"] * 5, "everybody"]
    page = output_of(shop(), "matrix", "--html")
    assert page.startswith("<!doctype html>")
    assert "Who may call what: shop" in page


def test_hostile_names_break_no_table() -> None:
    app = shop(Role("=1+1\n| x |"), Role("clerk", "order:*"), Role("manager"))
    for form in ("--markdown", "--csv"):
        lines = output_of(app, "matrix", form).splitlines()
        assert len(lines) == 7 + (form == "--markdown")
    assert '"\'=1+1\\n| x |"' in output_of(app, "matrix", "--csv")
    assert "| =1+1\\\\n&#124; x &#124; |" in output_of(app, "matrix", "--markdown")


@pytest.mark.parametrize("path", ["/orders/<int:id>", "/orders/7", "orders/7"])
def test_who_tells_the_roles_that_may_and_what_it_depends_on(path: str) -> None:
    assert output_of(shop(), "who", "get", path).splitlines() == [
        "GET /orders/<int:id> (order): is the buyer or has the role clerk [view]",
        "yes      clerk, manager",
        "depends  no role, on: is the buyer",
        "depends  guest, on: is the buyer",
        "no       not identified",
    ]


def test_who_marks_a_route_without_a_guard() -> None:
    assert output_of(shop(), "who", "GET", "/bare").splitlines() == [
        "GET /bare (bare): everybody [NO GUARD]",
        "yes      not identified, no role, clerk, manager, guest",
    ]


def test_who_takes_a_head_for_the_get_that_answers_it() -> None:
    assert output_of(shop(), "who", "HEAD", "/orders").startswith("GET /orders (orders): has the")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("POST", "/orders"), "no view answers POST /orders, only GET"),
        (("POST", "/orders/7"), "no view answers POST /orders/7, only GET, HEAD, OPTIONS, PUT"),
        (("OPTIONS", "/orders"), "no view answers OPTIONS /orders, only GET"),
        (("GET", "/nowhere"), "no route has the path /nowhere: flask authz routes lists"),
        (("GET", "/admin/users"), "is redirected to http://localhost/admin/users/: ask for that"),
    ],
)
def test_who_says_so_where_no_view_answers(asked: tuple[str, str], message: str) -> None:
    result = run(shop(), "who", *asked)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_can_tells_the_routes_of_a_role_and_what_they_depend_on() -> None:
    assert [line.split(maxsplit=4) for line in output_of(shop(), "can", "guest").splitlines()] == [
        ["answer", "method", "rule", "endpoint", "depends on"],
        ["depends", "GET", "/orders/<int:id>", "order", "is the buyer"],
        ["yes", "GET", "/health", "health"],
        ["yes", "GET", "/bare", "bare"],
    ]


def test_can_says_so_where_a_role_may_call_nothing() -> None:
    app = guarded_app()
    app.add_url_rule("/", "view", requires(has_role("admin"))(lambda: "in"))
    assert output_of(app, "can", "viewer") == "viewer may call no route\n"


def test_can_names_the_roles_that_there_are() -> None:
    result = run(shop(), "can", "boss")
    assert result.exit_code == 2
    assert "no role is named 'boss': the roles are clerk, manager, guest" in result.stderr
    without = run(guarded_app(authz={"roles": None}), "can", "boss")
    assert "no role is named 'boss': write Authz(app, roles=Roles(...))" in without.stderr


@pytest.mark.parametrize(
    "arguments", [["routes"], ["matrix"], ["matrix", "--html"], ["who", "GET", "/"], ["can", "x"]]
)
def test_an_application_without_an_authz_is_reported(arguments: list[str]) -> None:
    app = bare_app()
    app.add_url_rule("/", "view", lambda: "in")
    result = run(app, *arguments)
    assert result.exit_code == 2
    assert "has no Authz: write Authz(app, roles=...)" in result.stderr


@pytest.fixture
def earlier(tmp_path: Path) -> str:
    """The matrix of the shop in a file."""
    file = tmp_path / "matrix.json"
    file.write_text(output_of(shop(), "matrix", "--json"))
    return str(file)


def test_a_difference_to_the_same_application_exits_0(earlier: str) -> None:
    assert output_of(shop(), "matrix", "--diff", earlier) == "no access was given or taken\n"
    assert json.loads(output_of(shop(), "matrix", "--json", "--diff", earlier)) == {"changes": []}
    assert len(output_of(shop(), "matrix", "--csv", "--diff", earlier).splitlines()) == 1


def test_a_difference_exits_1_where_access_was_given_and_tells_to_whom(earlier: str) -> None:
    result = run(shop(read=has_role("guest") | "order:read"), "matrix", "--diff", earlier)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "access  method  rule     endpoint  for    before  after",
        "given   GET     /orders  orders    guest  no      yes",
    ]


def test_a_difference_exits_0_where_access_was_only_taken(earlier: str) -> None:
    shown = output_of(shop(read="order:list"), "matrix", "--diff", earlier)
    assert shown.splitlines()[1:] == ["taken   GET     /orders  orders    clerk  yes     no"]


def test_a_difference_exits_1_where_it_depends_on_something_else(earlier: str) -> None:
    one, other = shop(read=has_scope("a")), shop(read=has_scope("b"))
    Path(earlier).write_text(output_of(one, "matrix", "--json"))
    result = run(other, "matrix", "--diff", earlier)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].startswith("changed  GET     /orders  orders")


@pytest.mark.parametrize("form", ["--markdown", "--csv", "--json"])
def test_a_difference_is_written_in_every_form_of_a_table(form: str, earlier: str) -> None:
    result = run(shop(read=has_role("guest")), "matrix", form, "--diff", earlier)
    assert result.exit_code == 1
    assert "given" in result.stdout
    assert "taken" in result.stdout


def test_a_difference_cannot_be_a_page(earlier: str) -> None:
    result = run(shop(), "matrix", "--html", "--diff", earlier)
    assert result.exit_code == 2
    assert "--diff cannot be written as HTML" in result.stderr


def test_a_file_that_is_not_a_matrix_exits_2(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text("{}")
    result = run(shop(), "matrix", "--diff", str(file))
    assert result.exit_code == 2
    assert "is not an access matrix: expected the output of flask authz matrix" in result.stderr


def test_an_application_that_a_function_makes_has_no_revisions() -> None:
    result = run(shop(), "matrix", "--diff", "main")
    assert result.exit_code == 2
    assert "there is no file main" in result.stderr
    assert "give the FILE of an earlier --json" in result.stderr


# --- filters -------------------------------------------------------------------------------------


def rows_of(*arguments: str) -> list[tuple[str, str]]:
    """The methods and rules that a command lists."""
    table = list(csv.reader(io.StringIO(output_of(shop(), *arguments, "--csv"))))
    return [(row[0], row[1]) for row in table[1:]]


_NOBODY = ("not", "identified", "no", "role")
ORDER, ORDERS = "/orders/<int:id>", "/orders"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--route", "order"], [("GET", ORDER), ("PUT", ORDER), ("GET", ORDERS)]),
        (["--route", "admin.users"], [("GET", "/admin/users/")]),
        (["--route", "nothing"], []),
        (["--method", "put"], [("PUT", ORDER)]),
        (["--only", "depends"], [("GET", ORDER)]),
        (
            ["--role", "clerk", "--only", "yes", "--route", "orders"],
            [("GET", ORDER), ("GET", ORDERS)],
        ),
        (
            ["--role", "guest", "--only", "no", "--method", "GET", "--route", "order"],
            [("GET", ORDERS)],
        ),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else "",
)
@pytest.mark.parametrize("name", ["routes", "matrix"])
def test_routes_are_chosen_by_name_method_role_and_answer(
    name: str, filters: list[str], expected: list[tuple[str, str]]
) -> None:
    assert rows_of(name, *filters) == expected


def test_the_routes_of_a_role_are_those_that_let_it_in_or_may() -> None:
    assert rows_of("routes", "--role", "guest") == [
        ("GET", ORDER),
        ("GET", "/health"),
        ("GET", "/bare"),
    ]


def test_a_matrix_of_some_roles_has_their_columns_in_the_order_given() -> None:
    text = output_of(shop(), "matrix", "--role", "manager", "--role", "guest", "--route", "order")
    assert text.splitlines()[0].split() == [
        "method",
        "rule",
        *_NOBODY,
        "manager",
        "guest",
        "requirement",
    ]
    found = json.loads(output_of(shop(), "matrix", "--role", "guest", "--json"))
    assert found["roles"] == ["guest"]


def test_an_unknown_role_is_refused_with_those_that_are_like_it() -> None:
    for name in ("routes", "matrix"):
        few = run(shop(), name, "--role", "clrek")
        assert (few.exit_code, few.stdout) == (2, "")
        assert "no role is named 'clrek': the roles are clerk, manager, guest" in few.stderr
    many = shop(Role("clerk", "order:*"), *(Role(f"role-{number}") for number in range(500)))
    error = run(many, "matrix", "--role", "clrek").stderr
    assert error == "Error: no role is named 'clrek': did you mean clerk?\n"


def test_a_comparison_is_not_filtered(tmp_path: Path) -> None:
    result = run(shop(), "matrix", "--diff", str(tmp_path / "before.json"), "--role", "clerk")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--diff compares everything: leave out the filters" in result.stderr


def test_who_and_can_are_written_as_json() -> None:
    (found,) = json.loads(output_of(shop(), "who", "GET", "/orders/7", "--json"))
    assert (found["method"], found["rule"], found["endpoint"]) == ("GET", ORDER, "order")
    callers = {one["caller"]: (one["answer"], one["depends on"]) for one in found["callers"]}
    assert callers["clerk"] == ("yes", [])
    assert callers["guest"] == ("depends", ["is the buyer"])
    assert callers["not identified"] == ("no", [])
    can = json.loads(output_of(shop(), "can", "guest", "--json"))
    assert {(one["answer"], one["rule"]) for one in can} == {
        ("depends", ORDER),
        ("yes", "/health"),
        ("yes", "/bare"),
    }
