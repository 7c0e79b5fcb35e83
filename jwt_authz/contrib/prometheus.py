"""Prometheus metrics: decisions, refusals, token cache and age of the revocation view.

How it works. The signal `decided` counts decisions. Existing counters are copied on collection and,
at most every few seconds, on decisions: if several processes share their metrics through files,
nothing collects from the process itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from flask import Flask, has_request_context, request

from .._extras import needs_extra
from ..application import KEY, AppState
from ..audit import decided
from ..errors import MisuseError
from ..policy.problem import TYPE_PREFIX

with needs_extra(__name__, "prometheus-client", "metrics"):
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector

_EVERY_SECONDS = 5.0


def observe(app: Flask, registry: CollectorRegistry = REGISTRY) -> None:
    """Record metrics of an application's decisions in a registry.

    Call it once, after `Authz(app)`. The labels are outcomes, problem types and endpoints, so their
    number is bounded. Raise `MisuseError` if the application has no Authz or the registry already
    has the metrics of an application.
    """
    state = app.extensions.get(KEY)
    if state is None:
        raise MisuseError("the application has no Authz: write Authz(app) before observe(app)")
    observer = Observer(state, registry)
    decided.connect(observer.receive, sender=app, weak=False)


class Observer(Collector):
    """Update the metrics of one application on collection; yields no metrics itself."""

    def __init__(self, state: AppState, registry: CollectorRegistry) -> None:
        self._state = state
        self._registry = registry
        self._lock = threading.Lock()
        self._seen = (0, 0)
        self._next = 0.0
        try:
            decisions = Counter(
                "jwt_authz_decisions", "Decisions, by outcome.", ["outcome"], registry=None
            )
            registry.register(self)  # first, so that the metrics are collected after the update
            registry.register(decisions)
        except ValueError:
            registry.unregister(self)
            raise MisuseError(
                "the registry already has the metrics of an application: write "
                "observe(app, CollectorRegistry()) for a second application"
            ) from None
        self._decisions = {name: decisions.labels(name) for name in state.audit.counts}
        self._refusals = Counter(
            "jwt_authz_refusals",
            "Refusals, enforced or not, by outcome, problem type and endpoint.",
            ["outcome", "type", "endpoint"],
            registry=registry,
        )
        self._hits = Counter(
            "jwt_authz_token_cache_hits",
            "Tokens found in the verified-token cache.",
            registry=registry,
        )
        self._misses = Counter(
            "jwt_authz_token_cache_misses",
            "Tokens that had to be verified, valid or not.",
            registry=registry,
        )
        self._age: Gauge | None = None  # no metric without a store: 0 would be wrong

    def describe(self) -> Iterable[Metric]:
        """Return no metrics."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Update the metrics that are collected after this; return none."""
        self._update()
        return ()

    def receive(self, app: Flask, outcome: str, problem: Any = None, **more: Any) -> None:
        """Count one decision."""
        self._decisions[outcome].inc()
        if problem is not None:
            kind = problem.type.removeprefix(TYPE_PREFIX)
            endpoint = request.endpoint if has_request_context() else None
            self._refusals.labels(outcome, kind, endpoint or "").inc()
        if time.monotonic() >= self._next:
            self._update()

    def _update(self) -> None:
        with self._lock:
            self._next = time.monotonic() + _EVERY_SECONDS
            seen, self._seen = self._seen, self._state.cache_counts
            self._hits.inc(self._seen[0] - seen[0])
            self._misses.inc(self._seen[1] - seen[1])
            age = self._state.revocation_age
            if age is not None:
                self._set_age(age)

    def _set_age(self, age: float) -> None:
        if self._age is None:
            self._age = Gauge(
                "jwt_authz_revocation_view_age_seconds",
                "Age of this process's view of the revocations, in seconds.",
                registry=self._registry,
                multiprocess_mode="livemax",
            )
        self._age.set(age)
