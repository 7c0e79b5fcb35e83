"""KeySet and its file: one key signs, all verify, and a change counts within a second."""

from __future__ import annotations

import itertools
import json
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask, jsonify
from flask_jwt_extended import (
    create_access_token,
    create_refresh_token,
    decode_token,
    get_jwt_identity,
    jwt_required,
    set_access_cookies,
)

from jwt_authz import MisuseError, exempt, requires
from jwt_authz.errors import StoreUnavailable
from jwt_authz.tokens import KeySet, verify
from jwt_authz.tokens import key_set as module
from jwt_authz.tokens.jwk import new_jwk, public_jwk
from jwt_authz.tokens.key_set import KeyFile
from tests.edge import TYPE, bare_app, get, guarded_app, private_pem, token_for, turn_clock

ALGORITHMS = ("ES256", "EdDSA", "HS256")


def three_keys() -> list[dict[str, Any]]:
    return [new_jwk(algorithm) for algorithm in ALGORITHMS]


# The set itself


def test_one_key_signs_and_all_verify_in_every_listing_order() -> None:
    keys = three_keys()
    for order in itertools.permutations(keys):
        for active in keys:
            made = KeySet(order, active["kid"])
            assert made.active == active["kid"]
            assert made.signing.name == active["alg"]
            assert made.verifying.keys() == {key["kid"] for key in keys}
            assert made.kids == tuple(key["kid"] for key in order)
            assert made.algorithms == set(ALGORITHMS)


@pytest.mark.parametrize(
    ("keys", "active", "message"),
    [
        ([], "a", "No key has the kid 'a'"),
        ([{"kid": "a"}], "a", "needs a kid and an alg"),
        ([{**new_jwk("HS256"), "kid": ""}], "", "needs a kid and an alg"),
        ([{**new_jwk("HS256"), "kid": 1}], 1, "needs a kid and an alg"),
        ([{**new_jwk("HS256"), "kid": "a"}] * 2, "a", "Two keys have the kid 'a'"),
        ([{**new_jwk("HS256"), "kid": "a"}], "b", "No key has the kid 'b'"),
        ([{**new_jwk("HS256"), "kid": "a", "alg": "HS512"}], "a", "too weak for HS512"),
        ([{**new_jwk("HS256"), "kid": "a", "alg": "none"}], "a", "Unsupported algorithm"),
        ([{**new_jwk("ES256"), "kid": "a", "use": "enc"}], "a", "use is not sig"),
        ([{**new_jwk("ES256"), "kid": "a", "key_ops": ["verify"]}], "a", "do not contain sign"),
        ([{**(public_jwk(new_jwk("ES256")) or {}), "kid": "a"}], "a", "no private part"),
    ],
)
def test_a_set_that_could_not_work_is_not_made(keys: Any, active: Any, message: str) -> None:
    with pytest.raises(MisuseError, match=message) as raised:
        KeySet(keys, active)
    for key in keys:
        for secret in ("k", "d"):
            assert key.get(secret, "nothing") not in str(raised.value)


def test_a_key_that_only_verifies_may_be_public() -> None:
    signs, other = new_jwk("ES256"), new_jwk("EdDSA")
    made = KeySet([public_jwk(other) or {}, signs], signs["kid"])
    assert made.kids == (other["kid"], signs["kid"])
    with pytest.raises(MisuseError, match="no private part"):
        made.rotated(other["kid"])


def test_a_key_is_added_then_signs_then_the_old_one_goes() -> None:
    first = KeySet.new("ES256")
    both = first.with_new_key()
    assert (both.active, len(both.kids)) == (first.active, 2)
    after = both.rotated()
    assert after.active == both.kids[1]
    assert after.kids == both.kids
    only = after.retired(first.active)
    assert only.kids == (after.active,)
    assert first.kids == (first.active,)  # a change makes another set
    with pytest.raises(MisuseError, match="rotate to another key first"):
        only.retired(only.active)
    with pytest.raises(MisuseError, match="No key has the kid 'x'"):
        both.retired("x")
    assert both.with_new_key("EdDSA").algorithms == {"ES256", "EdDSA"}


def test_what_is_published_are_public_parts_alone_and_no_secrets() -> None:
    keys = three_keys()
    published = KeySet(keys, keys[0]["kid"]).public()
    assert [key["kid"] for key in published["keys"]] == [keys[0]["kid"], keys[1]["kid"]]
    for key in keys:
        for secret in ("d", "k"):
            assert key.get(secret, "nothing") not in json.dumps(published)


# The file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_what_is_written_is_read_again_and_nobody_else_may_read_it(path: Path) -> None:
    before = umask(0)
    try:
        written = KeySet.new("ES256").with_new_key("EdDSA")
        written.write(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
        written.write(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        umask(before)
    read = KeySet.read(path)
    assert (read.kids, read.active) == (written.kids, written.active)
    assert os.listdir(path.parent) == [path.name]


umask = os.umask


def test_a_link_to_the_file_stays_a_link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere" / "keys.json"
    KeySet.new("ES256").write(real)
    path.symlink_to(real)
    later = KeySet.read(path).with_new_key()
    later.write(path)
    assert path.is_symlink()
    assert KeySet.read(real).kids == later.kids


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to be root")
def test_the_file_keeps_its_owner_when_root_rotates(path: Path) -> None:
    KeySet.new("ES256").write(path)
    os.chown(path, 12_345, 12_346)
    KeySet.read(path).with_new_key().write(path)
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12_345, 12_346, 0o600)


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    path: Path, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = KeySet.new("ES256")
    old.write(path)

    def broken(*arguments: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(module.os, fails, broken)
    with pytest.raises(OSError, match="no space left"):
        old.with_new_key().write(path)
    assert KeySet.read(path).kids == old.kids
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        "{",
        '{"keys": []}',
        '{"active": "a"}',
        '{"keys":1,"active":1}',
        '{"keys":[1],"active":1}',
        '{"keys":"ab","active":"a"}',
    ],
)
def test_a_file_that_holds_no_set_says_how_to_make_one(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(MisuseError, match="create one with flask authz keys new"):
        KeySet.read(path)
    path.unlink()
    with pytest.raises(MisuseError, match="create one with flask authz keys new"):
        KeySet.read(path)


def test_a_change_of_the_file_is_seen_within_a_second_and_not_looked_for_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = os.stat

    def counted(*arguments: Any, **keywords: Any) -> Any:
        nonlocal looks
        looks += arguments[0] == str(path)
        return look(*arguments, **keywords)

    first = KeySet.new("ES256")
    first.write(path)
    file = KeyFile(str(path))
    assert file.current(1_000.0).kids == first.kids
    second = first.with_new_key()
    second.write(path)
    monkeypatch.setattr(module.os, "stat", counted)
    for tenth in range(10):
        assert file.current(1_000.0 + tenth / 10).kids == first.kids
    assert looks == 0
    assert file.current(1_001.0).kids == second.kids
    again = file.current(1_001.5)
    assert again is file.current(1_001.9)
    assert looks == 1


def test_the_file_is_looked_at_at_once_where_that_is_asked(path: Path) -> None:
    first = KeySet.new("ES256")
    first.write(path)
    file = KeyFile(str(path))
    file.current(1_000.0)
    second = first.with_new_key()
    second.write(path)
    assert file.current(1_000.1).kids == first.kids
    assert file.current(1_000.1, look=True).kids == second.kids


def test_a_clock_that_is_set_back_does_not_keep_old_keys(path: Path) -> None:
    first = KeySet.new("ES256")
    first.write(path)
    file = KeyFile(str(path))
    file.current(1_000_000.0)
    second = first.with_new_key()
    second.write(path)
    assert file.current(1_000.0).kids == second.kids


@pytest.mark.parametrize("opened", ["file", "folder", "file behind a link", "folder of a link"])
def test_a_key_file_that_every_user_may_write_is_refused(tmp_path: Path, opened: str) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    file = folder / "keys.json"
    KeySet.new("ES256").write(file)
    path = file
    if opened == "file behind a link":
        path = tmp_path / "link.json"
        path.symlink_to(file)
    place = folder if opened == "folder" else file
    if opened == "folder of a link":
        place = tmp_path / "links"
        place.mkdir()
        path = place / "keys.json"
        path.symlink_to(file)
    place.chmod(place.stat().st_mode | stat.S_IWOTH)
    app = guarded_app(AUTHZ_KEYS_FILE=str(path))
    with (
        app.app_context(),
        pytest.raises(MisuseError, match="Every user of this machine can write"),
    ):
        app.extensions["jwt_authz"].check()
    place.chmod(place.stat().st_mode & ~stat.S_IWOTH | stat.S_ISVTX)
    with app.app_context():
        app.extensions["jwt_authz"].check()


def test_a_sticky_folder_such_as_tmp_may_hold_a_key_file(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    KeySet.new("ES256").write(tmp_path / "keys.json")
    assert len(KeySet.read(tmp_path / "keys.json").kids) == 1


def test_a_new_key_file_that_every_user_may_write_leaves_the_keys_in_use(path: Path) -> None:
    first = KeySet.new("ES256")
    first.write(path)
    file = KeyFile(str(path))
    file.current(1_000.0)
    KeySet.new("ES256").write(path)
    path.chmod(0o666)
    assert file.current(1_002.0).kids == first.kids


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A file system that hangs until the event is set."""
    goes_on, looks = threading.Event(), KeyFile._stamp_of_file

    def hang(file: KeyFile) -> Any:
        assert goes_on.wait(60)
        return looks(file)

    monkeypatch.setattr(KeyFile, "_stamp_of_file", hang)
    monkeypatch.setattr(module, "_LONGEST_LOOK", 0.1)
    yield goes_on
    goes_on.set()


def test_a_file_system_that_hangs_leaves_the_keys_in_use_and_few_threads_behind(
    path: Path, hanging: threading.Event
) -> None:
    first = KeySet.new("ES256")
    first.write(path)
    file = KeyFile(str(path))
    hanging.set()
    file.current(1_000.0)
    hanging.clear()
    before = threading.active_count()
    for second in range(1, 20):
        assert file.current(1_000.0 + second).kids == first.kids
        assert file.current(1_000.0 + second, look=True).kids == first.kids
    assert threading.active_count() <= before + 1


def test_a_file_system_that_hangs_from_the_start_is_a_store_that_does_not_answer(
    path: Path, hanging: threading.Event
) -> None:
    KeySet.new("ES256").write(path)
    file = KeyFile(str(path))
    with ThreadPoolExecutor(8) as callers:
        for found in [callers.submit(file.current, 1_000.0) for _ in range(8)]:
            with pytest.raises(StoreUnavailable, match="could not be read from"):
                found.result(30)


@pytest.mark.parametrize("spoil", ["write", "unlink", "chmod"])
def test_a_file_that_cannot_be_read_leaves_the_keys_in_use_and_is_reported(
    path: Path, spoil: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = KeySet.new("ES256")
    first.write(path)
    file = KeyFile(str(path))
    file.current(1_000.0)
    if spoil == "write":
        path.write_text("{")
    elif spoil == "unlink":
        path.unlink()
    else:
        path.unlink()
        path.mkdir()
    with caplog.at_level(logging.ERROR):
        for second in range(1, 10):
            assert file.current(1_000.0 + second).kids == first.kids
    assert len(caplog.records) == 1
    assert "the previous keys stay in use" in caplog.text
    if path.is_dir():
        path.rmdir()
    later = first.with_new_key()
    later.write(path)
    assert file.current(2_000.0).kids == later.kids


# In an application


def shop(path: Path, algorithm: str = "HS256", **config: Any) -> Flask:
    app = guarded_app(algorithm, AUTHZ_KEYS_FILE=str(path), **config)
    app.add_url_rule("/guarded", "guarded", requires("article:read")(lambda: "in"))
    app.add_url_rule("/fje", "fje", exempt(jwt_required()(lambda: get_jwt_identity())))
    app.add_url_rule(
        "/refresh", "refresh", exempt(jwt_required(refresh=True)(lambda: get_jwt_identity()))
    )
    return app


def kid_of(token: str) -> Any:
    return jwt.get_unverified_header(token).get("kid")


def issued(app: Flask) -> str:
    with app.app_context():
        token: str = app.extensions["jwt_authz"].issue("alice", roles=["viewer"])
    return token


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_tokens_are_signed_by_the_active_key_and_verified_by_the_one_they_name(
    path: Path, algorithm: str
) -> None:
    keys = KeySet.new(algorithm).with_new_key("ES256")
    keys.write(path)
    app = shop(path)
    for make in (issued, lambda app: token_for(app, "alice", "viewer")):
        token = make(app)
        assert kid_of(token) == keys.active
        for _ in ("cold", "warm"):
            assert get(app.test_client(), "/guarded", token).status_code == 200
            assert get(app.test_client(), "/fje", token).text == "alice"
        with app.app_context():
            app.config["JWT_DECODE_AUDIENCE"] = None
            assert decode_token(token, allow_expired=True)["sub"] == "alice"


@pytest.mark.parametrize("order", range(6))
@pytest.mark.parametrize("active", range(3))
def test_in_every_listing_order_tokens_carry_the_active_kid_and_all_keys_verify(
    path: Path, order: int, active: int
) -> None:
    """SECURITY 1.37."""
    keys = three_keys()
    listed = list(itertools.permutations(keys))[order]
    KeySet(listed, keys[active]["kid"]).write(path)
    app = shop(path)
    assert kid_of(issued(app)) == keys[active]["kid"]
    for key in keys:
        KeySet(listed, key["kid"]).write(path)
        token = issued(shop(path))
        assert kid_of(token) == key["kid"]
        assert get(app.test_client(), "/guarded", token).status_code == 200


def test_a_refresh_token_is_signed_and_verified_by_the_set_too(path: Path) -> None:
    keys = KeySet.new("ES256")
    keys.write(path)
    app = shop(path)
    with app.app_context():
        token = create_refresh_token("alice")
    assert kid_of(token) == keys.active
    assert get(app.test_client(), "/refresh", token).text == "alice"
    assert get(app.test_client(), "/guarded", token).status_code == 401


def test_a_token_that_no_key_of_the_set_signed_is_refused_everywhere(path: Path) -> None:
    keys = KeySet.new("ES256").with_new_key("HS256")
    keys.write(path)
    app = shop(path)
    stranger = KeySet([{**new_jwk("ES256"), "kid": keys.active}], keys.active)
    other_file = path.with_name("other.json")
    stranger.write(other_file)
    unknown = path.with_name("unknown.json")
    KeySet.new("ES256").write(unknown)
    wrong = {
        "another secret": token_for(
            guarded_app(JWT_SECRET_KEY="a secret of nobody here, long enough"), "alice", "viewer"
        ),
        "another key of this kid": issued(shop(other_file)),
        "an unknown kid": issued(shop(unknown)),
        "HS256 under the other's kid": token_for(
            guarded_app(), "alice", "viewer", additional_headers={"kid": keys.active}
        ),
    }
    for said, token in wrong.items():
        assert get(app.test_client(), "/guarded", token).status_code == 401, said
        assert get(app.test_client(), "/fje", token).status_code in (401, 422), said


def test_an_expired_token_reaches_fjes_own_loader_with_its_payload(path: Path) -> None:
    KeySet.new("ES256").write(path)
    app = shop(path)
    app.extensions["flask-jwt-extended"].expired_token_loader(
        lambda header, payload: (jsonify(kid=header["kid"], sub=payload["sub"]), 401)
    )
    expired = token_for(app, "alice", expires_delta=timedelta(seconds=-1))
    answer = get(app.test_client(), "/fje", expired)
    assert answer.status_code == 401
    assert answer.get_json() == {"kid": kid_of(expired), "sub": "alice"}


def test_an_application_with_a_decode_key_loader_of_its_own_keeps_it(path: Path) -> None:
    KeySet.new("ES256").write(path)
    app = shop(path)
    asked: list[str] = []

    @app.extensions["flask-jwt-extended"].decode_key_loader
    def load(header: dict[str, Any], payload: dict[str, Any]) -> str:
        asked.append(header["alg"])
        return str(app.config["JWT_SECRET_KEY"])

    plain = token_for(guarded_app(), "alice", "viewer")
    assert get(app.test_client(), "/guarded", plain).status_code == 200
    assert get(app.test_client(), "/fje", plain).status_code == 200
    assert len(asked) >= 2


def test_cookies_with_their_csrf_value_work_with_a_key_set(path: Path) -> None:
    keys = KeySet.new("ES256")
    keys.write(path)
    app = shop(path, JWT_TOKEN_LOCATION=["cookies"], JWT_COOKIE_SECURE=False)

    def log_in() -> Any:
        response = jsonify(ok=True)
        set_access_cookies(
            response, create_access_token("alice", additional_claims={"roles": ["viewer"]})
        )
        return response

    app.add_url_rule("/log-in", "log_in", exempt(log_in), methods=["POST"])
    app.add_url_rule("/post", "post", requires("article:read")(lambda: "in"), methods=["POST"])
    client = app.test_client()
    client.post("/log-in")
    csrf = client.get_cookie("csrf_access_token")
    assert csrf is not None
    for _ in ("cold", "warm"):
        assert client.get("/guarded").status_code == 200
        assert client.get("/fje").text == "alice"
        assert client.post("/post").get_json()["type"] == f"{TYPE}csrf-invalid"
        assert client.post("/post", headers={"X-CSRF-TOKEN": csrf.value}).status_code == 200
    KeySet.new("ES256").write(path)
    other = shop(path, JWT_TOKEN_LOCATION=["cookies"]).test_client()
    cookie = client.get_cookie("access_token_cookie")
    assert cookie is not None
    other.set_cookie("access_token_cookie", cookie.value)
    assert other.get("/guarded").status_code == 401


def test_an_application_without_an_authz_decodes_as_ever() -> None:
    from flask_jwt_extended import JWTManager

    app = bare_app("ES256")
    JWTManager(app)
    with app.app_context():
        assert decode_token(create_access_token("alice"))["sub"] == "alice"


def test_two_applications_with_one_manager_have_keys_of_their_own(tmp_path: Path) -> None:
    apps, tokens = [], []
    for name in ("one", "two"):
        KeySet.new("ES256").write(tmp_path / name)
        apps.append(shop(tmp_path / name))
        tokens.append(issued(apps[-1]))
    for number, app in enumerate(apps):
        for other, token in enumerate(tokens):
            expected = 200 if number == other else 401
            assert get(app.test_client(), "/guarded", token).status_code == expected


# Rotation


def test_a_token_of_a_retired_key_is_refused_though_it_was_cached(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = KeySet.new("ES256").with_new_key()
    keys.write(path)
    app = shop(path)
    old = issued(app)
    client = app.test_client()
    for _ in range(3):
        assert get(client, "/guarded", old).status_code == 200
    rotated = keys.rotated()
    rotated.write(path)
    turn_clock(monkeypatch, 1.1)
    new = issued(app)
    assert kid_of(new) == rotated.active
    assert [get(client, "/guarded", token).status_code for token in (old, new)] == [200, 200]
    rotated.retired(keys.active).write(path)
    turn_clock(monkeypatch, 2.2)
    for _ in range(3):
        assert get(client, "/guarded", old).get_json()["type"] == f"{TYPE}key-unknown"
        assert get(client, "/fje", old).status_code in (401, 422)
        assert get(client, "/guarded", new).status_code == 200


def test_a_key_that_was_made_and_used_this_moment_elsewhere_is_not_a_false_401(path: Path) -> None:
    """No second has to pass: an unknown `kid` has the file looked at."""
    keys = KeySet.new("ES256")
    keys.write(path)
    here, elsewhere = shop(path), shop(path)
    for app in (here, elsewhere):
        assert get(app.test_client(), "/guarded", issued(here)).status_code == 200
    for where in ("/guarded", "/fje"):
        keys = keys.with_new_key().rotated()
        keys.write(path)
        with elsewhere.app_context():
            elsewhere.extensions["jwt_authz.state"]._key_file.current(time.time(), look=True)
        token = issued(elsewhere)
        assert kid_of(token) == keys.active
        assert get(here.test_client(), where, token).status_code == 200, where


def rotate_under_load(path: Path, seconds: float, pause: float) -> dict[str, Any]:
    """Two applications on one file, each with callers of both, while keys come and go.

    Each token is used until a second before its key is retired, at both applications.
    """
    KeySet.new("ES256").write(path)
    apps = [shop(path), shop(path)]
    stop = threading.Event()
    refused: list[str] = []
    late: list[float] = []
    answers = [0]
    lock = threading.Lock()
    tokens: list[str] = []
    for app in apps:
        tokens.append(issued(app))
        time.sleep(0.5)  # so that they do not look at the file in the same moment

    def call(number: int) -> None:
        clients = [app.test_client() for app in apps]
        mine = 0
        while not stop.is_set():
            with lock:
                token = tokens[mine % len(tokens)]
            mine += 1
            kid = kid_of(token)
            for client, where in ((clients[mine % 2], "/guarded"), (clients[number % 2], "/fje")):
                if get(client, where, token).status_code != 200:
                    refused.append(f"{where} {kid}")
            answers[0] += 2
            if mine % 7 == 0:
                with lock:
                    tokens.append(issued(apps[mine % 2]))
                    del tokens[:-20]

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    ends, rotations = time.monotonic() + seconds, 0
    try:
        while time.monotonic() < ends:
            keys = KeySet.read(path).with_new_key().rotated()
            keys.write(path)
            rotations += 1
            written = time.monotonic()
            while {kid_of(issued(app)) for app in apps} != {keys.active}:
                time.sleep(0.01)
            late.append(time.monotonic() - written)
            time.sleep(pause)
            with lock:
                tokens[:] = [token for token in tokens if kid_of(token) == keys.active] or [
                    issued(app) for app in apps
                ]
            time.sleep(pause)  # what is on its way with an older key arrives
            keys = KeySet.read(path)
            for kid in keys.kids[:-1]:
                keys = keys.retired(kid)
            keys.write(path)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return {"refused": refused, "late": late, "answers": answers[0], "rotations": rotations}


def assert_none_is_refused(found: dict[str, Any], seconds: float) -> None:
    assert found["refused"] == []
    assert max(found["late"]) <= 2.0  # a second, and what a busy machine adds to it
    assert found["answers"] >= 20 * seconds
    assert found["rotations"] >= 2


@pytest.mark.slow
def test_keys_rotate_under_load_without_one_false_401(path: Path) -> None:
    """SECURITY F9, 1.37."""
    assert_none_is_refused(rotate_under_load(path, 4.0, 0.3), 4.0)


@pytest.mark.long
def test_keys_rotate_for_five_minutes_without_one_false_401(path: Path) -> None:
    """SECURITY F9: every ten seconds."""
    assert_none_is_refused(rotate_under_load(path, 300.0, 4.5), 300.0)


@pytest.mark.slow
def test_without_the_look_for_an_unknown_kid_there_would_be_false_401s(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test under load: it must be able to fail."""
    current = KeyFile.current
    monkeypatch.setattr(KeyFile, "current", lambda self, now, look=False: current(self, now))
    found = rotate_under_load(path, 4.0, 0.3)
    assert found["refused"]


def test_verify_and_the_set_agree_on_what_the_set_signed(path: Path) -> None:
    keys = three_keys()
    for key in keys:
        KeySet(keys, key["kid"]).write(path)
        token = issued(shop(path))
        assert [verify(token, other, other["alg"]) for other in keys] == [
            other is key for other in keys
        ]


def test_the_pem_keys_of_the_settings_only_verify_where_there_is_a_set(path: Path) -> None:
    KeySet.new("EdDSA").write(path)
    app = shop(path, "ES256")
    token = issued(app)
    assert jwt.get_unverified_header(token)["alg"] == "EdDSA"
    assert get(app.test_client(), "/guarded", token).status_code == 200
    for which, status in ((0, 200), (1, 401)):
        other = guarded_app("ES256", JWT_PRIVATE_KEY=private_pem("ES256", which))
        former = token_for(other, "alice", "viewer")
        assert get(app.test_client(), "/guarded", former).status_code == status
