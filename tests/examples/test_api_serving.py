"""The example as it is started by hand: its own server and curl lines, gunicorn, flask."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE, eventually

LAST_LINE = r"^curl .*'(http://[^/']+)/.*editor"
LISTENING = r"Listening at: (http://\S+)"
SECRET = "a secret for the tests that is long enough for any HMAC: 64 bytes."
PASSWORD = "correct horse"
# A worker that gets the signal while it starts may never handle it.
GUNICORN = ("gunicorn", "examples.api:app", "--bind=127.0.0.1:0", "--graceful-timeout=1")

needs_curl = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("bash")), reason="bash and curl are not both here"
)


def ask(url: str, token: str = "", body: Any = None) -> tuple[int, str, Any]:
    """The status, the content type and the JSON of an answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = None
    if body is not None:
        headers["Content-Type"], data = "application/json", json.dumps(body).encode()
    try:
        request = urllib.request.Request(url, data, headers)
        answer = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers["Content-Type"], json.load(answer)


def log_in(url: str, who: str, password: str) -> str:
    status, _, answer = ask(f"{url}/token", body={"username": who, "password": password})
    assert status == 200
    token: str = answer["access_token"]
    return token


def paste(lines: list[str], folder: Path) -> list[tuple[int, str, Any]]:
    """The status, content type and body of each answer, to lines that a person pastes."""
    # An interactive shell, which treats some characters as a script's does not.
    shell = ["bash", "--norc", "--noprofile", "-i"]
    done = subprocess.run(
        shell,
        input="".join(f"{line}; echo\n" for line in lines),
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "HISTFILE": ""},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    answers = []
    for answer in re.split(r"^(?=HTTP/)", done.stdout, flags=re.MULTILINE)[1:]:
        head, body = re.split(r"\r?\n\r?\n", answer, maxsplit=1)
        kind = re.search(r"^Content-Type: (\S+)", head, re.MULTILINE)
        assert kind is not None
        answers.append((int(head.split()[1]), kind[1], json.loads(body)))
    return answers


@pytest.mark.slow
@needs_curl
@pytest.mark.parametrize("password", ["", "73051946", r"""it's "5$HOME" \n !x `é` 日本"""])
def test_the_curl_lines_that_are_printed_work_when_pasted(
    serve: Any, tmp_path: Path, password: str
) -> None:
    served = serve(
        "examples.api",
        "--port",
        "0",
        until=LAST_LINE,
        DEMO_PASSWORD=password,
        JWT_ALGORITHM="HS256",
    )
    lines = [line for line in served.lines if line.startswith("curl ")]
    answers = paste(lines, tmp_path)
    assert [answer[0] for answer in answers] == [401, 403, 200]
    assert [answer[1] for answer in answers[:2]] == ["application/problem+json"] * 2
    assert answers[1][2]["detail"] == "Requires a caller who has the permission report:read."
    assert answers[2][2] == {"articles": 1, "authors": 1}
    assert "eyJ" not in "\n".join(served.lines), "a token was printed"
    assert ("password of viewer" in "\n".join(served.lines)) is (password == "")


@pytest.mark.slow
def test_the_port_is_the_one_that_was_asked_for(serve: Any) -> None:
    port = re.sub(r".*:", "", serve("examples.api", "--port", "0", until=LAST_LINE).url)
    # It is in use now, which the next process reports in plain words.
    with pytest.raises(pytest.fail.Exception, match=rf"Port {port} is in use"):
        serve("examples.api", "--port", port, until=LAST_LINE)


@pytest.mark.slow
def test_a_setting_that_cannot_work_ends_the_start_with_what_to_write(run: Any) -> None:
    ended = run("examples.api", "--port", "0", JWT_SECRET_KEY="short")
    assert ended.returncode == 1
    assert ended.stderr.startswith("This cannot start: the secret for HS256 has 5 bytes")
    assert ended.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_gunicorn_serves_it_with_one_worker_and_prints_the_passwords(
    serve: Any, algorithm: str
) -> None:
    served = serve(
        *GUNICORN,
        until=r"password of admin: (\S+)",
        JWT_ALGORITHM=algorithm,
    )
    [url] = re.findall(LISTENING, "\n".join(served.lines))
    token = log_in(url, "admin", served.url)
    assert ask(f"{url}/admin/users", token)[0] == 200
    assert ask(f"{url}/admin/users")[:2] == (401, "application/problem+json")


@pytest.fixture
def three_workers(serve: Any, new_schema: Any) -> Any:
    """Starts the API in three workers with one database, key and password; returns its URL."""
    shared = {"DATABASE_URL": new_schema(), "JWT_SECRET_KEY": SECRET, "DEMO_PASSWORD": PASSWORD}
    return lambda **more: serve(*GUNICORN, "--workers=3", until=LISTENING, **shared, **more).url


def test_four_workers_start_on_a_fresh_sqlite_file(serve: Any, tmp_path: Path) -> None:
    shared = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'fresh.db'}",
        "JWT_SECRET_KEY": SECRET,
        "DEMO_PASSWORD": PASSWORD,
    }
    served = serve(*GUNICORN, "--workers=4", until=LISTENING, **shared)
    for who in ("viewer", "operator"):
        token = log_in(served.url, who, PASSWORD)
        assert {ask(f"{served.url}/me", token)[0] for _ in range(8)} == {200}
    assert not any("Error" in line for line in served.lines), served.lines


@pytest.mark.slow
@pytest.mark.parametrize(
    ("server", "number"),
    [
        ("its own", signal.SIGTERM),
        ("its own", signal.SIGINT),
        ("its own", signal.SIGHUP),  # by which gunicorn reloads
        ("gunicorn", signal.SIGTERM),
        ("gunicorn --preload", signal.SIGINT),
    ],
)
def test_the_fresh_folder_is_gone_after_a_signal(
    serve: Any, tmp_path: Path, server: str, number: signal.Signals
) -> None:
    own = ["examples.api", "--port", "0"]
    command = own if server == "its own" else [*GUNICORN, *server.split()[1:]]
    served = serve(*command, until=LAST_LINE if server == "its own" else LISTENING)
    assert ask(f"{served.url}/me")[0] == 401  # a worker that only starts may not hear the signal
    assert list(tmp_path.glob("jwt_authz-example-*"))
    served.process.send_signal(number)
    served.process.communicate(timeout=PATIENCE)
    assert list(tmp_path.glob("jwt_authz-example-*")) == []


GEVENT = {"JWT_SECRET_KEY": SECRET, "DEMO_PASSWORD": PASSWORD}


@pytest.mark.slow
def test_gevent_workers_serve_it(serve: Any, tmp_path: Path) -> None:
    pytest.importorskip("gevent")
    url = f"sqlite:///{tmp_path / 'gevent.db'}"
    command = (*GUNICORN, "-k", "gevent", "-w", "2")
    served = serve(*command, until=LISTENING, DATABASE_URL=url, **GEVENT)
    with ThreadPoolExecutor(8) as clients:
        found = list(clients.map(lambda _: log_in(served.url, "admin", PASSWORD), range(2)))
        answers = clients.map(lambda n: ask(f"{served.url}/admin/users", found[n % 2]), range(40))
        assert {answer[0] for answer in answers} == {200}
    assert ask(f"{served.url}/me")[0] == 401


@pytest.mark.slow
def test_a_gevent_worker_of_a_preloaded_application_refuses_and_does_not_hang(
    serve: Any, tmp_path: Path
) -> None:
    pytest.importorskip("gevent")
    url = f"sqlite:///{tmp_path / 'gevent.db'}"
    log = tmp_path / "log"
    command = (*GUNICORN, "-k", "gevent", "--preload", f"--error-logfile={log}")
    serve(*command, until=r"(MonkeyPatchWarning)", DATABASE_URL=url, **GEVENT)
    [at] = re.findall(LISTENING, log.read_text())
    body = {"username": "admin", "password": PASSWORD}
    assert ask(f"{at}/token", body=body)[:2] == (500, "application/problem+json")
    assert ask(f"{at}/me")[0] == 500


@pytest.mark.slow
def test_gunicorns_workers_share_what_is_set(three_workers: Any) -> None:
    url = three_workers()
    token = log_in(url, "editor", PASSWORD)
    created = ask(f"{url}/articles", token, {"title": "Seen by all"})
    assert created[0] == 201
    for _ in range(12):
        assert ask(f"{url}/articles/{created[2]['id']}", token)[2]["title"] == "Seen by all"


@pytest.mark.slow
def test_gunicorns_workers_refuse_to_make_up_a_key_each(serve: Any) -> None:
    url = serve(*GUNICORN, "--workers=2", until=LISTENING).url
    assert ask(f"{url}/me")[:2] == (500, "application/problem+json")


@pytest.mark.slow
def test_flask_authz_check_finds_nothing_to_repair(run: Any) -> None:
    ended = run("flask", "--app", "examples.api", "authz", "check")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "every view has a guard, or is exempt"


@pytest.mark.slow
@pytest.mark.parametrize("store", ["redis", "the database"])
def test_what_one_of_gunicorns_workers_revokes_all_of_them_refuse(
    three_workers: Any, redis_url: str, store: str
) -> None:
    more = {"AUTHZ_STORE_URL": redis_url} if store == "redis" else {}
    url = three_workers(**more)
    operator = log_in(url, "operator", PASSWORD)
    status, _, pair = ask(f"{url}/token", body={"username": "editor", "password": PASSWORD})
    for _ in range(9):
        assert ask(f"{url}/reports", pair["access_token"])[0] == 200
    status, _, after = ask(f"{url}/token/refresh", body={"refresh_token": pair["refresh_token"]})
    assert status == 200
    revoked = urllib.request.Request(
        f"{url}/admin/revocations",
        b'{"role": "editor"}',
        {"Authorization": f"Bearer {operator}", "Content-Type": "application/json"},
    )
    urllib.request.urlopen(revoked, timeout=PATIENCE).close()
    tokens = pair["access_token"], after["access_token"]
    eventually(lambda: {ask(f"{url}/reports", tokens[1])[0] for _ in range(30)} == {401})
    for token in tokens:
        assert {ask(f"{url}/reports", token)[0] for _ in range(9)} == {401}
    status, _, again = ask(f"{url}/token/refresh", body={"refresh_token": after["refresh_token"]})
    assert (status, ask(f"{url}/reports", again["access_token"])[0]) == (200, 200)
