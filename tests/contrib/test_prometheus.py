"""Metrics: what Prometheus reads, with labels that no caller can make more of."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from prometheus_client import CollectorRegistry, generate_latest

from jwt_authz import Authz, Identity, InvalidToken, MisuseError, allowed, authorize, requires
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.application import KEY
from jwt_authz.audit import decided
from jwt_authz.contrib.prometheus import observe
from jwt_authz.endpoints import token_blueprint
from tests import hostile
from tests.edge import bare_app, get, guarded_app, token_for, turn_clock

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nobody_listens_afterwards() -> Any:
    receivers = dict(decided.receivers)
    yield
    for receiver in set(decided.receivers) - set(receivers):
        decided.receivers.pop(receiver)


def observed_app(**config: Any) -> tuple[Flask, CollectorRegistry]:
    app = guarded_app(**config)
    app.add_url_rule("/edit", "edit", requires("article:edit")(lambda: "in"))
    app.add_url_rule("/dry", "dry", requires("article:edit", enforce=False)(lambda: "in"))
    app.add_url_rule("/any/<path:rest>", "any", requires()(lambda rest: "in"))
    app.add_url_rule("/asks", "asks", lambda: str(allowed("article:edit")))
    registry = CollectorRegistry()
    observe(app, registry)
    return app, registry


def samples(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    """The samples of a metric that are not 0, by the values of their labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == f"jwt_authz_{name}" and sample.value
    }


def total(registry: CollectorRegistry, name: str) -> float:
    return samples(registry, name).get((), 0.0)


# --- decisions and refusals ----------------------------------------------------------------------


def test_decisions_are_counted_by_outcome_and_refusals_by_type_and_endpoint() -> None:
    app, registry = observed_app()
    client = app.test_client()
    viewer, editor = token_for(app, "bob", "viewer"), token_for(app, "eve", "editor")
    for token in (editor, editor, viewer, None, "x.y.z"):
        get(client, "/edit", token)
    get(client, "/dry", viewer)
    get(client, "/dry")
    get(client, "/asks", viewer)
    assert samples(registry, "decisions_total") == {
        ("allowed",): 2,
        ("refused",): 2,
        ("not identified",): 2,
        ("would have been refused",): 2,
    }
    assert samples(registry, "refusals_total") == {
        ("refused", "not-allowed", "edit"): 1,
        ("refused", "not-allowed", "asks"): 1,
        ("not identified", "token-missing", "edit"): 1,
        ("not identified", "token-malformed", "edit"): 1,
        ("would have been refused", "not-allowed", "dry"): 1,
        ("would have been refused", "token-missing", "dry"): 1,
    }


def test_they_are_what_the_counts_of_the_authz_are() -> None:
    app, registry = observed_app()
    token = token_for(app, "eve", "editor")

    def work(_: int) -> None:
        client = app.test_client()
        for path in ("/edit", "/dry", "/asks"):
            get(client, path, token)
            get(client, path)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(20)))
    counts = {(k,): v for k, v in app.extensions[KEY].audit.counts.items() if v}
    assert samples(registry, "decisions_total") == counts
    assert sum(counts.values()) == 120


def test_every_outcome_is_there_from_the_start() -> None:
    _, registry = observed_app()
    text = generate_latest(registry).decode()
    for outcome in ("allowed", "refused", "not identified", "unavailable"):
        assert f'jwt_authz_decisions_total{{outcome="{outcome}"}} 0.0' in text


def test_outside_a_request_a_refusal_has_no_endpoint() -> None:
    app, registry = observed_app()
    with app.app_context():
        assert not allowed("article:edit", identity=Identity("job"))
    assert samples(registry, "refusals_total") == {("refused", "not-allowed", ""): 1}


def test_a_refused_log_in_is_counted() -> None:
    app = bare_app()
    Authz(app, accounts=MemoryAccounts())
    app.register_blueprint(token_blueprint())
    registry = CollectorRegistry()
    observe(app, registry)
    app.test_client().post("/token", json={"username": "eve", "password": "x"})
    (labels,) = samples(registry, "refusals_total")
    assert labels[:2] == ("not identified", "wrong-credentials")


# --- labels --------------------------------------------------------------------------------------


def test_no_caller_makes_a_label() -> None:
    app, registry = observed_app()
    client = app.test_client()
    for number in range(50):
        claims = {"roles": [f"role-{number}"], f"claim-{number}": number}
        get(client, f"/any/{number}?q={number}", hostile.token({"sub": f"s{number}", **claims}))
        get(client, f"/any/{number}", f"eyJ.{number}.x")
        get(client, f"/nowhere/{number}")
        client.open("/edit", method="GET", headers={"Authorization": f"Bearer {number}"})
    series = [line for line in generate_latest(registry).decode().splitlines() if line[0] != "#"]
    assert len(series) < 25
    endpoints = {labels[2] for labels in samples(registry, "refusals_total")}
    assert endpoints <= {"edit", "any"}
    assert not any("eyJ" in line or "role-" in line for line in series)


def test_a_problem_type_of_the_applications_own_is_named_by_its_class() -> None:
    class Suspended(InvalidToken):
        name = "suspended"

    app, registry = observed_app()

    @app.extensions["jwt_authz"].identity_loader
    def load(subject: str, claims: dict[str, Any]) -> Identity:
        raise Suspended

    get(app.test_client(), "/edit", token_for(app, "bob", "viewer"))
    assert samples(registry, "refusals_total") == {("not identified", "suspended", "edit"): 1}


# --- the cache -----------------------------------------------------------------------------------


def test_tokens_found_and_tokens_verified_are_counted() -> None:
    app, registry = observed_app()
    client, token = app.test_client(), token_for(app, "eve", "editor")
    assert total(registry, "token_cache_misses_total") == 0
    for _ in range(5):
        get(client, "/edit", token)
    get(client, "/edit", "x.y.z")
    assert total(registry, "token_cache_misses_total") == 2
    assert total(registry, "token_cache_hits_total") == 4
    get(client, "/edit", token)
    assert total(registry, "token_cache_hits_total") == 5


def test_without_a_cache_every_token_is_a_miss() -> None:
    app, registry = observed_app(AUTHZ_CACHE_BYTES=0)
    for _ in range(5):
        get(app.test_client(), "/edit", token_for(app, "eve", "editor"))
    assert total(registry, "token_cache_misses_total") == 5
    assert total(registry, "token_cache_hits_total") == 0


def test_the_counts_go_on_where_a_cache_is_emptied_or_an_entry_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, registry = observed_app()
    client, token = app.test_client(), token_for(app, "eve", "editor")
    for _ in range(3):
        get(client, "/edit", token)
    app.config["JWT_DECODE_LEEWAY"] = 1  # a changed setting empties it
    for _ in range(3):
        get(client, "/edit", token)
    assert total(registry, "token_cache_misses_total") == 2
    assert total(registry, "token_cache_hits_total") == 4
    app.extensions["jwt_authz"].identity_loader(lambda subject, claims: Identity(subject))
    get(client, "/edit", token)
    turn_clock(monkeypatch, 3_600)  # the token goes at the next sweep
    get(client, "/edit", token_for(app, "bob"))
    assert total(registry, "token_cache_misses_total") == 4
    assert total(registry, "token_cache_hits_total") == 4


# --- the revocations -----------------------------------------------------------------------------


def test_the_age_of_what_is_known_of_revocations_is_read_as_it_is_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, registry = observed_app(AUTHZ_STORE_URL=f"sqlite:///{tmp_path / 'store.sqlite'}")
    name = "revocation_view_age_seconds"
    assert samples(registry, name) == {}
    with app.app_context():
        view = app.extensions[KEY].revocations
        view.store.prepare()
    get(app.test_client(), "/edit", token_for(app, "eve", "editor"))
    registry.collect()
    list(registry.collect())
    monkeypatch.setattr(view, "age", lambda: 4.5)
    assert samples(registry, name) == {(): 4.5}
    monkeypatch.setattr(view, "age", lambda: 9.0)
    assert samples(registry, name) == {(): 9.0}
    view.stop()
    view.store.close()


def test_without_a_store_there_is_no_age() -> None:
    app, registry = observed_app()
    get(app.test_client(), "/edit", token_for(app, "eve", "editor"))
    assert "revocation_view_age" not in generate_latest(registry).decode()


# --- who is observed -----------------------------------------------------------------------------


def test_an_application_that_is_not_observed_is_not_counted() -> None:
    _, registry = observed_app()
    other = guarded_app()
    other.add_url_rule("/", "view", requires()(lambda: "in"))
    other.test_client().get("/")
    assert samples(registry, "decisions_total") == {}


def test_two_applications_have_a_registry_each() -> None:
    (one, first), (two, second) = observed_app(), observed_app()
    get(one.test_client(), "/edit")
    assert samples(first, "decisions_total") == {("not identified",): 1}
    assert samples(second, "decisions_total") == {}
    with pytest.raises(MisuseError, match="already has the metrics of an application"):
        observe(two, first)
    get(two.test_client(), "/edit")
    assert samples(first, "decisions_total") == {("not identified",): 1}
    assert samples(second, "decisions_total") == {("not identified",): 1}


def test_an_application_without_an_authz_is_misuse() -> None:
    with pytest.raises(MisuseError, match=r"write Authz\(app\) before observe"):
        observe(bare_app(), CollectorRegistry())


def test_metrics_are_kept_whatever_is_asked_in_a_block_or_a_view() -> None:
    app, registry = observed_app()
    app.add_url_rule("/insists", "insists", lambda: authorize("article:edit", on="it"))
    get(app.test_client(), "/insists", token_for(app, "eve", "editor"))
    assert samples(registry, "decisions_total") == {("allowed",): 1}


SHOP = """
from flask import Flask
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
from jwt_authz import Authz, requires
from jwt_authz.metrics import observe

app = Flask("shop")
app.config["JWT_SECRET_KEY"] = 64 * "x"
authz = Authz(app)
app.add_url_rule("/", "view", requires()(lambda: "in"))
observe(app)
with app.app_context():
    token = authz.issue("ada")
for _ in range(3):
    app.test_client().get("/", headers={"Authorization": f"Bearer {token}"})
    app.test_client().get("/")
"""

COLLECTS = """
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""


@pytest.mark.slow
def test_processes_that_share_a_folder_are_counted_together(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
    }
    for script in (SHOP, SHOP, SHOP + COLLECTS):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert 'jwt_authz_decisions_total{outcome="allowed"} 9.0' in done.stdout
    labels = 'endpoint="view",outcome="not identified",type="token-missing"'
    assert f"jwt_authz_refusals_total{{{labels}}} 9.0" in done.stdout
    assert "jwt_authz_token_cache_misses_total 3.0" in done.stdout


@pytest.mark.slow
def test_the_error_without_the_extra_names_it(tmp_path: Path) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ImportError('gone', name=__name__)")
    done = subprocess.run(
        [sys.executable, "-c", "import jwt_authz; import jwt_authz.contrib.prometheus"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "pip install 'jwt_authz[metrics]'" in done.stderr
