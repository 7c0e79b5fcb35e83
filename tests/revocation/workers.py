"""Other processes for the tests: they open a store of their own, and run commands."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from secrets import token_hex
from threading import Barrier
from typing import Any

from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import RevocationView, Target, target_of
from jwt_authz.revocation import families as rules
from jwt_authz.revocation.stores.redis import RedisStore
from jwt_authz.revocation.stores.sqlalchemy import SQLAlchemyStore
from tests.patience import PATIENCE

IDLE = 900.0


def open_shared(kind: str, url: str, prefix: str) -> Any:
    """The store by its kind."""
    if kind == "redis":
        return RedisStore.from_url(url, prefix, PATIENCE)
    return SQLAlchemyStore.from_url(url, prefix, PATIENCE)


class Worker:
    """A process that answers one question after the other; `ask` asks and `answer` waits."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._unanswered = 0

    def ask(self, question: str, *arguments: Any, **options: Any) -> None:
        self._unanswered += 1
        self._pipe.send((question, arguments, options))

    def answer(self) -> Any:
        assert self._pipe.poll(PATIENCE), "the other process does not answer"
        found = self._pipe.recv()
        self._unanswered -= 1
        assert not isinstance(found, Exception), found
        return found

    def __call__(self, question: str, *arguments: Any, **options: Any) -> Any:
        self.ask(question, *arguments, **options)
        return self.answer()

    def leave(self) -> bool:
        """Leave the place it is at; whether the process is as good as new."""
        try:
            return self._unanswered == 0 and bool(self("leave"))
        except (AssertionError, OSError, EOFError):
            return False

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()


def work(pipe: Connection) -> None:
    """What the process runs."""
    place: Place | None = None
    while True:
        try:
            question, arguments, options = pipe.recv()
        except EOFError:
            return
        try:
            if question == "go_to":
                place, answer = Place(*arguments, **options), True
            else:
                answer = getattr(place, question)(*arguments, **options)
            pipe.send(answer)
        except Exception as error:
            pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))


class Place:
    """The questions that a worker knows."""

    def __init__(
        self, kind: str, url: str, prefix: str, threads: int = 1, is_broken: bool = False
    ) -> None:
        self._where = kind, url, prefix
        self._store = open_shared(*self._where)
        if is_broken:
            break_atomicity(self._store)
        self._pool = ThreadPoolExecutor(threads)
        self._barrier = Barrier(threads)
        self._threads = threads
        self._view: RevocationView | None = None

    def leave(self) -> bool:
        """Give back all that was opened."""
        if self._view is not None:
            self._view.stop()
        self._pool.shutdown()
        self._store.close()
        return True

    def warm_up(self) -> None:
        """Have every thread connect once."""
        list(self._pool.map(lambda _: self._together("A" * 22, "jti", 1.0), range(self._threads)))

    def rotate_together(self, family: str, presented: str, grace: float) -> list[tuple[str, Any]]:
        """What comes of using one token in all threads at once."""
        together = self._pool.map(
            lambda _: self._together(family, presented, grace), range(self._threads)
        )
        return list(together)

    def _together(self, family: str, presented: str, grace: float) -> tuple[str, Any]:
        self._barrier.wait()
        try:
            rotation = self._store.rotate(family, presented, grace=grace, idle=IDLE)
        except StoreUnavailable as error:
            return "unavailable", str(error)
        return rotation.outcome, rotation.jti

    def rotate_and_die(self, family: str, presented: str, delay: float) -> str | None:
        """Have a child use the token, and kill it after a moment; what it had received by then."""
        reading_end, tell = os.pipe()
        ready, say_ready = os.pipe()
        child = os.fork()
        if child == 0:
            store = open_shared(*self._where)
            store.families("warm-up")
            os.write(say_ready, b"1")
            rotation = store.rotate(family, presented, grace=10.0, idle=IDLE)
            os.write(tell, (rotation.jti or rotation.outcome).encode())
            time.sleep(60)
        os.close(tell)
        os.close(say_ready)
        os.read(ready, 1)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        answer = os.read(reading_end, 100)
        os.close(reading_end)
        os.close(ready)
        return answer.decode() or None

    def view(self, interval: float, first_load: float = PATIENCE) -> None:
        """Open a view, and load it."""
        self._view = RevocationView(
            self._store,
            longest=900,
            max_age=2 * PATIENCE,
            interval=interval,
            first_load=first_load,
        )
        self._view.check_age()

    def seen_at(self, claims: dict[str, Any], within: float = PATIENCE / 2) -> float:
        """When, by the clock of the machine, a token with these claims was first refused here."""
        assert self._view is not None
        until = time.monotonic() + within
        while time.monotonic() < until:
            with suppress(StoreUnavailable):
                self._view.check_age()
            token = {"jti": "-", "subject": "-", "issued_at": 1.0, **claims}
            if self._view.is_revoked(**token):
                return time.monotonic()
            time.sleep(0.001)
        raise AssertionError("it was never seen")

    def stop_by_news(self) -> None:
        """Stop the view, whose thread would otherwise wait for as long as its interval."""
        assert self._view is not None
        assert self._view._keeper is not None
        self._view._keeper._stop.set()
        self._view.revoke(Target("jti", "news"))
        self._view.stop()

    def kill_thread(self) -> None:
        """Have the thread that keeps the view fresh die at its next look."""
        assert self._view is not None
        keeper = self._view._keeper
        assert keeper is not None
        assert keeper._thread is not None

        def die() -> bool:
            raise SystemExit

        look, keeper.look = keeper.look, die  # type: ignore[method-assign]
        keeper._thread.join(PATIENCE / 2)
        keeper.look = look  # type: ignore[method-assign]
        assert not keeper._thread.is_alive()

    def revoke(self, given: dict[str, Any]) -> float:
        """Revoke, and say when that was done by the clock of the machine."""
        assert self._view is not None
        self._view.revoke(target_of(**given))
        return time.monotonic()


# The negative control: what the stores would be without their atomic step


def break_atomicity(store: Any) -> None:
    """Make a store look first and write afterwards, whatever came in between."""
    if isinstance(store, RedisStore):
        store.rotate = lambda *args, **kw: _redis_in_two_steps(store, *args, **kw)  # type: ignore[method-assign]
    elif isinstance(store, SQLAlchemyStore):
        change = store._change
        store._change = lambda record, changed, until: _write_anyway(change, record, changed, until)  # type: ignore[method-assign]
    else:
        store._lock = _NoLock()


def _write_anyway(change: Any, record: Any, changed: Any, until: float) -> bool:
    for revision in range(record.revision, record.revision + 50):
        if change(replace(record, revision=revision), changed, until):
            return True
    return False


def _redis_in_two_steps(
    store: RedisStore, family: str, presented: str, *, grace: float, idle: float
) -> rules.Rotation:
    client, key = store._server.client, f"{store._keys}family:{family}"
    current, previous, seed = client.hmget(key, "current", "previous", "seed")
    shown = client.hmget(key, "about", "created", "used", "ends", "expires")
    found = None if shown[0] is None else rules.Family(family, "ann", *[None] * 3, *[0.0] * 4)
    digest = rules.digest_of(presented).encode()
    if digest == current:
        new = token_hex(16)
        jti = rules.successor_of(presented, new)
        client.hset(
            key,
            mapping={"current": rules.digest_of(jti), "previous": current, "seed": new},
        )
        return rules.Rotation("rotated", found, jti)
    if digest == previous:
        return rules.Rotation("repeated", found, rules.successor_of(presented, seed.decode()))
    return rules.Rotation("reused", found)


class _NoLock:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...
