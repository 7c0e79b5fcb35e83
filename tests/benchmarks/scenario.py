"""One scenario of the peers benchmark: contenders built, shown to refuse, and timed in turn."""

import gc
import logging
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flask import Flask

from .common import (
    TokenMaker,
    VerificationCounter,
    bearer,
    environ_template,
    flipped,
    status_of,
)
from .contenders import Contender

TOKENS = 200
WARMING_PASSES = 3
SHORT_LIFE = 2
Clock = Callable[[], int]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter_ns, "processor": time.process_time_ns}


@dataclass
class Entrant:
    """A contender with its application and its microseconds per request, one for each round."""

    contender: Contender
    app: Flask
    times: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.contender.name


@dataclass(frozen=True)
class Result:
    """The times of one scenario, and the length its tokens really have."""

    algorithm: str
    size: int
    length: int
    times: dict[str, list[float]]

    def microseconds(self, name: str) -> float:
        return statistics.median(self.times[name])

    def ratio(self, name: str, to: str) -> float:
        return statistics.median(self._ratios(name, to))

    def quartiles(self, name: str, to: str) -> tuple[float, float]:
        ratios = self._ratios(name, to)
        if len(ratios) < 2:
            return ratios[0], ratios[0]
        first, _, third = statistics.quantiles(ratios, n=4, method="inclusive")
        return first, third

    def _ratios(self, name: str, to: str) -> list[float]:
        return [a / b for a, b in zip(self.times[name], self.times[to], strict=True)]


class DiscardingHandler(logging.Handler):
    """Formats each record, as a real handler does, and throws the line away."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        self.seen = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)
        self.seen += 1


class Scenario:
    """One algorithm and one token length: builds the contenders, proves them, times them."""

    def __init__(
        self, contenders: Sequence[Contender], maker: TokenMaker, counter: VerificationCounter
    ) -> None:
        self.maker, self.counter = maker, counter
        self.tokens = maker.make(TOKENS)
        self.headers = bearer(self.tokens)
        self.template = environ_template()
        self.entrants = [Entrant(each, each.build(maker.setup)) for each in contenders]
        self.doomed = ""

    def prove_refusals(self) -> str:
        """Show each contender good and bad tokens; return a sentence, or stop the run."""
        bad = {
            "no token": None,
            "a flipped signature": f"Bearer {flipped(self.tokens[0])}",
            "an expired token": f"Bearer {self.maker.expired()}",
            "a token without the right": f"Bearer {self.maker.lacking()}",
        }
        statuses = {each.name: self._refusals_of(each, bad) for each in self._checking()}
        self._accept_a_short_lived_token()
        return f"200 to a good token, refused {', '.join(bad)}: {grouped(statuses)}"

    def prove_expiry(self) -> str:
        """Show that the token which every contender had accepted is refused once it is over."""
        time.sleep(max(0.0, self._doomed_until - time.time()) + 0.1)
        for each in self._checking():
            _expect(each, "a token that has expired since", status_of(each.app, self.doomed), {401})
        return "a token accepted before the timing and expired since: 401 from all that look"

    def time(self, rounds: int, requests: int, clock: Clock) -> Result:
        """Run the rounds. The order moves on by one place each, after one shuffle."""
        self.warm_up()
        order = random.Random(0).sample(self.entrants, len(self.entrants))
        gc.collect()
        gc.freeze()
        for number in range(rounds):
            first = number % len(order)
            for entrant in order[first:] + order[:first]:
                self._time_once(entrant, requests, clock)
        gc.unfreeze()
        times = {entrant.name: entrant.times for entrant in self.entrants}
        length = round(statistics.median(map(len, self.tokens)))
        return Result(self.maker.algorithm, self.maker.size, length, times)

    def _checking(self) -> list[Entrant]:
        return [each for each in self.entrants if each.contender.checks != "nothing"]

    def _refusals_of(self, entrant: Entrant, bad: dict[str, str | None]) -> str:
        _expect(entrant, "a good token", status_of(entrant.app, self.headers[0]), {200})
        cases = list(bad.items())[: None if entrant.contender.checks == "right" else -1]
        statuses = []
        for what, header in cases:
            status = status_of(entrant.app, header)
            _expect(entrant, what, status, {401, 403, 422})
            statuses.append(str(status))
        _expect(entrant, "a good token", status_of(entrant.app, self.headers[0]), {200})
        return " ".join(statuses)

    def _accept_a_short_lived_token(self) -> None:
        self._doomed_until = time.time() + SHORT_LIFE
        self.doomed = f"Bearer {self.maker.short_lived(SHORT_LIFE)}"
        for each in self._checking():
            _expect(each, "a short-lived token", status_of(each.app, self.doomed), {200})

    def warm_up(self) -> None:
        """Have each contender answer all tokens a few times, untimed."""
        for entrant in self.entrants:
            for _ in range(WARMING_PASSES):
                headers = self.headers_for(entrant, TOKENS)
                time_requests(entrant.app, self.template, headers, CLOCKS["wall"])

    def headers_for(self, entrant: Entrant, requests: int) -> list[str]:
        """Return the `Authorization` headers of an entrant's next stretch."""
        if entrant.contender.fresh:
            return bearer(self.maker.make(requests))
        count = max(1, round(requests * entrant.contender.share))
        return random.Random(0).sample(self.headers, count) if count < TOKENS else self.headers

    def _time_once(self, entrant: Entrant, requests: int, clock: Clock) -> None:
        headers = self.headers_for(entrant, requests)
        with _logging(entrant.contender.logged) as handler, quiet_collector():
            verified = self.counter.count
            nanoseconds = time_requests(entrant.app, self.template, headers, clock)
            verified = self.counter.count - verified
        _expect_count(entrant, "signatures verified", verified, len(headers))
        if entrant.contender.logged and handler.seen != len(headers):
            raise SystemExit(f"{entrant.name}: {handler.seen} log records, not {len(headers)}")
        entrant.times.append(nanoseconds / 1000 / len(headers))


def time_requests(
    app: Callable[..., Any], template: dict[str, Any], headers: Sequence[str], clock: Clock
) -> int:
    """Answer one request for each header; nanoseconds for all. Anything but 200 stops the run."""
    statuses: list[str] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
        statuses.append(status)

    started = clock()
    for header in headers:
        environ = template.copy()
        environ["HTTP_AUTHORIZATION"] = header
        answer = app(environ, start_response)
        for _ in answer:
            pass
        answer.close()
    taken = clock() - started
    if statuses != ["200 OK"] * len(headers):
        raise SystemExit(f"answered {sorted(set(statuses))} while timed")
    return taken


def grouped(values: dict[str, str]) -> str:
    """Names by value, the largest group as "the others"."""
    groups: dict[str, list[str]] = {}
    for name, value in values.items():
        groups.setdefault(value, []).append(name)
    *small, (value, _) = sorted(groups.items(), key=lambda group: len(group[1]))
    return "; ".join([*(f"{v} {', '.join(names)}" for v, names in small), f"{value} the others"])


def _expect(entrant: Entrant, what: str, status: int, allowed: set[int]) -> None:
    if status not in allowed:
        raise SystemExit(f"{entrant.name} answered {status} to {what}: not comparable, stopped")


def _expect_count(entrant: Entrant, what: str, count: int, requests: int) -> None:
    expected = entrant.contender.verifications * requests
    if count != expected:
        raise SystemExit(f"{entrant.name}: {count} {what}, not {expected}: not what is measured")


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Collect garbage now, and not inside the block."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _logging(every_decision: bool) -> Iterator[DiscardingHandler]:
    handler, logger = DiscardingHandler(), logging.getLogger("jwt_authz")
    if every_decision:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(handler)
