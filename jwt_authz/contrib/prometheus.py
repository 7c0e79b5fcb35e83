"""Metrics: decisions, refusals, the cache of tokens and the age of the revocations, for Prometheus.

How it works. Decisions are counted as the signal `decided` tells of them. What is kept anyway is
brought over when somebody collects, and at most every few seconds as decisions are taken: where
several processes share their counts through files, nobody collects from the process itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from flask import Flask, has_request_context, request

from .._extras import needs_extra
from ..application import KEY, Parts
from ..audit import decided
from ..errors import MisuseError
from ..policy.problem import TYPE_PREFIX

with needs_extra(__name__, "prometheus-client", "metrics"):
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector

_EVERY_SECONDS = 5.0


def observe(app: Flask, registry: CollectorRegistry = REGISTRY) -> None:
    """Keep metrics of an application's decisions in a registry, from now on.

    Called once, after `Authz(app)`. Labels are outcomes, names of problem types and endpoints: of
    the program's making, and so bounded. Raises `MisuseError` for an application without an
    Authz, and for a registry that keeps those of another.
    """
    parts = app.extensions.get(KEY)
    if parts is None:
        raise MisuseError("the application has no Authz yet: write Authz(app) before observe(app)")
    observer = Observer(parts, registry)
    decided.connect(observer.receive, sender=app, weak=False)


class Observer(Collector):
    """The metrics of one application; a collector that brings them up to date, and has none."""

    def __init__(self, parts: Parts, registry: CollectorRegistry) -> None:
        self._parts = parts
        self._registry = registry
        self._lock = threading.Lock()
        self._seen = (0, 0)
        self._next = 0.0
        try:
            decisions = Counter(
                "jwt_authz_decisions", "Decisions, by outcome.", ["outcome"], registry=None
            )
            registry.register(self)  # first, for those registered behind it are collected later
            registry.register(decisions)
        except ValueError:
            registry.unregister(self)
            raise MisuseError(
                "this registry keeps the metrics of an application already: write "
                "observe(app, CollectorRegistry()) for another"
            ) from None
        self._decisions = {name: decisions.labels(name) for name in parts.audit.counts}
        self._refusals = Counter(
            "jwt_authz_refusals",
            "Refusals, and what would have been one, by outcome, problem type and endpoint.",
            ["outcome", "type", "endpoint"],
            registry=registry,
        )
        self._hits = Counter(
            "jwt_authz_token_cache_hits",
            "Look-ups that found a token verified already.",
            registry=registry,
        )
        self._misses = Counter(
            "jwt_authz_token_cache_misses",
            "Tokens that had to be verified, good or not.",
            registry=registry,
        )
        self._age: Gauge | None = None  # without a store there is none, and 0 would be a lie

    def describe(self) -> Iterable[Metric]:
        """No metrics of its own."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Bring up to date what is collected after this; no metrics of its own."""
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
            seen, self._seen = self._seen, self._parts.cache_counts
            self._hits.inc(self._seen[0] - seen[0])
            self._misses.inc(self._seen[1] - seen[1])
            age = self._parts.revocation_age
            if age is not None:
                self._set_age(age)

    def _set_age(self, age: float) -> None:
        if self._age is None:
            self._age = Gauge(
                "jwt_authz_revocation_view_age_seconds",
                "How old what this process knows of revocations is.",
                registry=self._registry,
                multiprocess_mode="livemax",
            )
        self._age.set(age)
