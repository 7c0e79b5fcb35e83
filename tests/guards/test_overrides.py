"""Overrides and additions: contents, duration, the requests they reach, notifications."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, current_app, request
from werkzeug.exceptions import Forbidden

from jwt_authz import (
    Authz,
    Identity,
    MisuseError,
    allowed,
    authorize,
    guard,
    has_permission,
    has_role,
    requirement,
    requires,
)
from jwt_authz.audit import decided
from jwt_authz.guards import guard as guards
from jwt_authz.guards import overrides as module
from jwt_authz.guards.overrides import (
    Additional,
    AdditionalManager,
    InUse,
    Override,
    OverrideManager,
    additions,
    current_additions,
    current_overrides,
    overrides,
)
from jwt_authz.policy.requirements import Not
from tests.edge import get, guarded_app, token_for


@requirement
def never(identity: Any) -> bool:
    return False


@requirement
def always(identity: Any) -> bool:
    return True


def bare_function(identity: Any) -> bool:
    return False


BAGS = pytest.mark.parametrize("bag_class", [Override, Additional])
MANAGERS = pytest.mark.parametrize(
    ("manager_class", "bag_class"), [(OverrideManager, Override), (AdditionalManager, Additional)]
)
ALICE = Identity(subject="alice")


@pytest.fixture(autouse=True)
def nothing_is_left(nothing_is_pushed: None) -> Iterator[None]:
    yield
    left = overrides.current, additions.current
    module._overrides.set(())
    module._additions.set(())
    assert left == (None, None)


@pytest.fixture
def app() -> Flask:
    app = guarded_app(PROPAGATE_EXCEPTIONS=False)

    @app.get("/never")
    @requires(never)
    def view() -> str:
        return "passed"

    @app.get("/state")
    def state() -> dict[str, bool]:
        return {"overrides": overrides.current is not None, "added": additions.current is not None}

    return app


def status(app: Flask, path: str) -> int:
    return get(app.test_client(), path, token_for(app, "alice", "viewer")).status_code


def is_clean(app: Flask) -> bool:
    return app.test_client().get("/state").json == {"overrides": False, "added": False}


# What they hold


@BAGS
def test_a_bag_holds_each_requirement_once_in_the_order_of_adding(bag_class: Any) -> None:
    bag = bag_class(never, always)
    bag.add(always, has_role("admin"), never)
    assert list(bag) == [never, always, has_role("admin")]
    assert len(bag) == 3


@BAGS
def test_a_bag_reads_strings_and_functions_as_guards_do(bag_class: Any) -> None:
    bag = bag_class("article:read", bare_function)
    assert next(iter(bag)) == has_permission("article:read")
    assert "article:read" in bag
    assert bare_function in bag
    assert requirement(bare_function) in bag
    assert never not in bag


@BAGS
def test_a_bag_says_what_to_write_in_place_of_a_class(bag_class: Any) -> None:
    with pytest.raises(MisuseError, match=r"write Role\(\)"):
        bag_class(type("Role", (), {}))


@BAGS
def test_add_and_remove_want_at_least_one_requirement(bag_class: Any) -> None:
    bag = bag_class()
    with pytest.raises(TypeError):
        bag.add()
    with pytest.raises(TypeError):
        bag.remove()


@BAGS
def test_removing_takes_several_and_what_is_not_held(bag_class: Any) -> None:
    bag = bag_class(never, always)
    bag.remove(never, has_role("admin"))
    assert list(bag) == [always]


@BAGS
def test_an_empty_bag_is_falsy_and_a_full_one_is_not(bag_class: Any) -> None:
    assert not bag_class()
    assert bag_class(never)


@BAGS
def test_plus_and_minus_make_new_bags(bag_class: Any) -> None:
    first, second = bag_class(never), bag_class(always, never)
    assert first + second == bag_class(never, always)
    assert second - first == bag_class(always)
    assert (first, second) == (bag_class(never), bag_class(always, never))


@BAGS
def test_plus_and_minus_in_place_take_several_elements(bag_class: Any) -> None:
    bag = same = bag_class(never)
    bag += bag_class(always, has_role("admin"))
    assert bag == bag_class(never, always, has_role("admin"))
    bag -= bag_class(never, has_role("admin"))
    assert bag == bag_class(always)
    bag += bag_class()
    bag -= bag_class()
    assert bag == bag_class(always)
    assert bag is same


@BAGS
def test_bags_are_equal_by_what_they_hold_and_have_no_hash(bag_class: Any) -> None:
    assert bag_class(never, always) == bag_class(always, never)
    assert bag_class(never) != bag_class(always)
    assert bag_class(never) != bag_class(never, always)
    assert bag_class() != object()
    with pytest.raises(TypeError, match="unhashable"):
        hash(bag_class())


@BAGS
@pytest.mark.parametrize("operate", ["__add__", "__iadd__", "__sub__", "__isub__", "__eq__"])
def test_bags_of_two_kinds_do_not_mix(bag_class: Any, operate: str) -> None:
    other = Additional(never) if bag_class is Override else Override(never)
    assert getattr(bag_class(never), operate)(other) is NotImplemented
    assert getattr(bag_class(never), operate)({never}) is NotImplemented


def test_an_override_mixes_with_one_of_a_derived_class() -> None:
    class Night(Override):
        pass

    night = Night(never)
    assert Override(always) + night == Override(always, never)
    assert night + Override(always) == Override(always, never)
    assert night == Override(never)
    assert night - Override(never) == Night()
    night += Override(always)
    night -= Override(never)
    assert list(night) == [always]


def test_overrides_and_additions_say_whether_they_hold_a_requirement() -> None:
    assert Override(never).is_overridden(never)
    assert not Override(never).is_overridden(always)
    assert Additional(never).is_added(never)
    assert not Additional(never).is_added(always)


def test_the_repr_of_a_bag_reads_like_the_source() -> None:
    assert repr(Override(has_role("admin"), never)) == "Override(has_role('admin'), never)"


# Managers


@MANAGERS
def test_what_was_pushed_last_counts_until_it_is_popped(manager_class: Any, bag_class: Any) -> None:
    manager = manager_class()
    first, second = bag_class(never), bag_class(always)
    assert manager.current is None
    manager.push(first)
    manager.push(second)
    assert manager.current is second
    manager.pop()
    assert manager.current is first
    manager.pop()
    assert manager.current is None


@MANAGERS
def test_use_parent_adds_to_what_counted_and_changes_neither(
    manager_class: Any, bag_class: Any
) -> None:
    manager = manager_class()
    outer, inner = bag_class(never), bag_class(always)
    manager.push(outer)
    manager.push(inner, use_parent=True)
    assert manager.current == bag_class(never, always)
    assert (outer, inner) == (bag_class(never), bag_class(always))
    manager.pop()
    assert manager.current is outer
    manager.pop()


@MANAGERS
def test_use_parent_without_a_parent_pushes_the_bag_alone(
    manager_class: Any, bag_class: Any
) -> None:
    manager, bag = manager_class(), bag_class(never)
    manager.push(bag, use_parent=True)
    assert manager.current is bag
    manager.pop()


@MANAGERS
def test_an_override_is_not_pushed_for_an_addition_nor_the_other_way_round(
    manager_class: Any, bag_class: Any
) -> None:
    other = Additional(never) if bag_class is Override else Override(never)
    wanted = rf"{manager_class.__name__} pushes {bag_class.__name__}\(...\), not "
    for wrong in (other, never, {never}):
        with pytest.raises(MisuseError, match=wanted):
            manager_class().push(wrong)
    assert manager_class().current is None


@MANAGERS
def test_a_pop_of_nothing_is_a_misuse(manager_class: Any, bag_class: Any) -> None:
    with pytest.raises(MisuseError, match=r"nothing to pop: call pop\(\) once for each"):
        manager_class().pop()


@MANAGERS
def test_a_pop_of_another_managers_push_is_a_misuse_and_leaves_it(
    manager_class: Any, bag_class: Any
) -> None:
    manager, bag = manager_class(), bag_class(never)
    manager.push(bag)
    with pytest.raises(MisuseError, match="Another manager pushed this: pop it with"):
        manager_class().pop()
    assert manager.current is bag
    manager.pop()


@MANAGERS
def test_drop_ends_what_was_pushed_last_and_tells_by_whom(
    manager_class: Any, bag_class: Any
) -> None:
    manager = manager_class()
    manager.push(bag_class(never))
    assert manager_class().drop() is manager
    assert manager_class().drop() is None
    assert manager.current is None


@pytest.mark.parametrize(
    ("block", "manager", "bag_class"),
    [
        (overrides.override, overrides, Override),
        (additions.additional, additions, Additional),
    ],
)
def test_a_with_block_yields_its_bag_and_ends_whatever_happens_in_it(
    block: Any, manager: Any, bag_class: Any
) -> None:
    outer, inner = bag_class(never), bag_class(always)
    with block(outer):
        with pytest.raises(ValueError, match="inside"), block(inner) as yielded:
            assert yielded is inner
            manager.push(bag_class())
            raise ValueError("inside")
        assert manager.current is outer
        with block(inner, use_parent=True) as both:
            assert both == bag_class(never, always)
        assert manager.current is outer
    assert manager.current is None


def test_a_block_that_is_ended_in_another_context_leaves_what_was_pushed_there() -> None:
    def stream() -> Iterator[None]:
        with overrides.override(Override(never)), additions.additional(Additional(never)):
            yield

    left_open = stream()
    contextvars.copy_context().run(next, left_open)
    override, added = Override(always), Additional(always)
    with overrides.override(override), additions.additional(added):
        left_open.close()  # type: ignore[attr-defined]
        assert overrides.current is override
        assert additions.current is added


def test_the_proxies_stand_for_what_counts_now() -> None:
    assert not current_overrides
    assert current_overrides == None  # noqa: E711 - a proxy for None is not None itself
    with overrides.override(Override()) as override, additions.additional(Additional()) as added:
        current_overrides.add(never)
        current_additions.add(always, never)
        assert never in current_overrides
        assert list(override) == [never]
        assert list(added) == [always, never]
        current_additions.remove(never)
        assert list(current_additions) == [always]
        assert len(current_additions) == 1


# Outside a request


def test_overrides_and_additions_count_outside_a_request(app: Flask) -> None:
    with app.app_context():
        assert not allowed(never, identity=ALICE)
        overrides.push(Override(never))
        assert allowed(never, identity=ALICE)
        assert authorize(never, identity=ALICE) is ALICE
        overrides.pop()
        assert not allowed(never, identity=ALICE)
        with additions.additional(Additional(never)):
            assert not allowed(always, identity=ALICE)
        assert allowed(always, identity=ALICE)


def test_what_was_pushed_outside_a_request_does_not_reach_into_one(app: Flask) -> None:
    with overrides.override(Override(never)) as outside:
        assert status(app, "/never") == 403
        assert is_clean(app)
        assert overrides.current is outside


def test_a_push_in_a_request_leaves_what_was_pushed_outside_it(app: Flask) -> None:
    @app.before_request
    def push() -> None:
        overrides.push(Override(never))

    overrides.push(Override(always))
    assert status(app, "/never") == 200
    assert overrides.current == Override(always)
    overrides.pop()


# Bound to the request


def push_both() -> None:
    overrides.push(Override(never))
    additions.push(Additional(never))


def push_and_raise(*arguments: Any) -> Any:
    push_both()
    raise ValueError("after a push")


@pytest.mark.parametrize("register", ["before_request", "after_request", "teardown_request"])
def test_what_was_pushed_is_gone_when_a_function_beside_the_view_raises(
    app: Flask, register: str
) -> None:
    """SECURITY 1.44."""

    def raise_at_first(*arguments: Any) -> Any:
        if request.path == "/raise":
            push_and_raise()
        return arguments[0] if arguments else None

    app.add_url_rule("/raise", view_func=lambda: "answer", endpoint="raise")
    getattr(app, register)(raise_at_first)
    if register == "teardown_request":
        with pytest.raises(ValueError, match="after a push"):
            app.test_client().get("/raise")
    else:
        assert status(app, "/raise") == 500
    assert overrides.current is None
    assert is_clean(app)
    assert status(app, "/never") == 403


def test_what_was_pushed_is_gone_when_the_view_raises(app: Flask) -> None:
    """SECURITY 1.44."""
    app.add_url_rule("/raise", view_func=push_and_raise)
    assert status(app, "/raise") == 500
    assert is_clean(app)
    assert status(app, "/never") == 403


def test_what_was_pushed_and_forgotten_is_gone_with_its_request(app: Flask) -> None:
    @app.get("/push")
    def push() -> str:
        push_both()
        assert allowed(never)
        return "pushed"

    assert status(app, "/push") == 200
    gc.collect()
    assert overrides.current is None
    assert additions.current is None
    assert is_clean(app)
    assert status(app, "/never") == 403
    with app.app_context():
        assert not allowed(never, identity=ALICE)


def test_a_request_object_that_is_kept_keeps_no_override_counting(app: Flask) -> None:
    kept = []

    @app.get("/push")
    def push() -> str:
        kept.append(request._get_current_object())  # type: ignore[attr-defined]
        push_both()
        return "pushed"

    assert status(app, "/push") == 200
    assert kept
    assert overrides.current is None
    assert is_clean(app)
    assert status(app, "/never") == 403


def test_two_requests_under_one_application_context_share_nothing(app: Flask) -> None:
    @app.get("/push")
    def push() -> str:
        push_both()
        return "pushed"

    with app.app_context():
        outside = Override(always)
        overrides.push(outside)
        assert status(app, "/push") == 200
        assert is_clean(app)
        assert status(app, "/never") == 403
        assert overrides.current is outside
        overrides.pop()


@pytest.mark.parametrize("inner_pushes", [True, False])
def test_a_request_made_inside_a_view_has_its_own_and_leaves_the_outer_ones(
    app: Flask, inner_pushes: bool
) -> None:
    @app.get("/inner")
    def inner() -> dict[str, bool]:
        seen = {"overrides": overrides.current is not None, "added": additions.current is not None}
        if inner_pushes:
            overrides.push(Override())
            additions.push(Additional())
        return seen

    @app.get("/outer")
    def outer() -> dict[str, Any]:
        override, added = Override(never), Additional(always)
        overrides.push(override)
        additions.push(added)
        seen = current_app.test_client().get("/inner").json
        assert overrides.current is override
        assert additions.current is added
        overrides.pop()
        additions.pop()
        return {"inner": seen}

    answer = app.test_client().get("/outer")
    assert answer.json == {"inner": {"overrides": False, "added": False}}


def test_a_pop_in_an_inner_request_does_not_end_the_outer_ones(app: Flask) -> None:
    @app.get("/inner")
    def inner() -> str:
        with pytest.raises(MisuseError, match="nothing to pop"):
            overrides.pop()
        return "refused"

    @app.get("/outer")
    def outer() -> str:
        with overrides.override(Override(never)) as override:
            text = current_app.test_client().get("/inner").text
            assert overrides.current is override
        return text

    assert app.test_client().get("/outer").text == "refused"


def test_an_override_of_the_application_reaches_the_views_guard(app: Flask) -> None:
    @app.before_request
    def on_holiday() -> None:
        if "holiday" in request.args:
            overrides.push(Override(never))

    assert status(app, "/never?holiday") == 200
    assert status(app, "/never") == 403


def test_what_requests_push_does_not_pile_up(app: Flask) -> None:
    app.add_url_rule("/push", view_func=lambda: push_both() or "pushed", endpoint="push")
    client = app.test_client()
    for _ in range(20):
        assert client.get("/push").status_code == 200
    gc.collect()
    client.get("/push")
    assert len(module._overrides.get()) == 1
    assert len(module._additions.get()) == 1


def test_an_async_views_push_counts_until_its_request_ends(app: Flask) -> None:
    after = []

    @app.get("/async")
    async def push() -> str:
        await asyncio.sleep(0)
        push_both()
        assert never in current_overrides
        return "pushed"

    @app.after_request
    def look(response: Response) -> Response:
        after.append(overrides.current)
        return response

    assert app.test_client().get("/async").status_code == 200
    assert after == [Override(never)]
    assert is_clean(app)
    assert status(app, "/never") == 403


# Threads, greenlets and tasks


def test_a_thread_has_its_own(app: Flask) -> None:
    seen = []
    with overrides.override(Override(never)), additions.additional(Additional(always)):
        thread = threading.Thread(
            target=lambda: seen.extend([overrides.current, additions.current])
        )
        thread.start()
        thread.join()
    assert seen == [None, None]


def test_requests_in_two_threads_at_once_do_not_see_each_others(app: Flask) -> None:
    pushed, looked = threading.Event(), threading.Event()

    @app.get("/push")
    def push() -> str:
        overrides.push(Override(never))
        pushed.set()
        assert looked.wait(10)
        return str(len(current_overrides))

    @app.get("/look")
    def look() -> dict[str, bool]:
        assert pushed.wait(10)
        return {"sees": overrides.current is not None, "passes": allowed(never)}

    answers: dict[str, Any] = {}
    token = token_for(app, "alice", "viewer")

    def ask(path: str, done: threading.Event) -> None:
        answers[path] = get(app.test_client(), path, token).get_data(as_text=True)
        done.set()

    threads = [
        threading.Thread(target=ask, args=("/push", threading.Event())),
        threading.Thread(target=ask, args=("/look", looked)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers["/push"] == "1"
    assert answers["/look"].replace(" ", "").strip() == '{"passes":false,"sees":false}'


def test_tasks_do_not_see_each_others() -> None:
    async def push(wait: asyncio.Event, ready: asyncio.Event) -> Any:
        with overrides.override(Override(never)):
            ready.set()
            await wait.wait()
            return overrides.current

    async def look(wait: asyncio.Event, ready: asyncio.Event) -> Any:
        await ready.wait()
        seen = overrides.current
        with overrides.override(Override(always)):
            wait.set()
            await asyncio.sleep(0)
            return seen, overrides.current

    async def main() -> list[Any]:
        wait, ready = asyncio.Event(), asyncio.Event()
        return list(await asyncio.gather(push(wait, ready), look(wait, ready)))

    assert asyncio.run(main()) == [Override(never), (None, Override(always))]


GREENLETS = """
    from gevent import monkey
    monkey.patch_all()
    import gevent.event
    from flask import Flask
    from jwt_authz.overrides import Additional, Override, additions, current_overrides, overrides

    app = Flask("greenlets")
    pushed, looked = gevent.event.Event(), gevent.event.Event()
    never = lambda identity: False

    @app.get("/push")
    def push():
        overrides.push(Override(never))
        additions.push(Additional(never))
        pushed.set()
        looked.wait()
        return str(len(current_overrides))

    @app.get("/look")
    def look():
        pushed.wait()
        seen = (overrides.current, additions.current)
        looked.set()
        return repr(seen)

    def get(path):
        return app.test_client().get(path).text

    jobs = [gevent.spawn(get, "/push"), gevent.spawn(get, "/look")]
    gevent.joinall(jobs, raise_error=True)
    print([job.value for job in jobs], overrides.current)
"""


def test_requests_in_two_greenlets_at_once_do_not_see_each_others() -> None:
    script = textwrap.dedent(GREENLETS)
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.stdout.strip() == "['1', '(None, None)'] None", run.stderr


# Whom they reach


@pytest.mark.parametrize(
    ("asked", "passes"),
    [
        (never, True),
        (never & always, True),
        (never | has_role("admin"), True),
        (~~never, True),
        (~never, False),
        (Not(never & always), False),
        (always & ~(never | has_role("admin")), False),
        (has_role("admin"), False),
    ],
)
def test_an_override_counts_as_met_wherever_it_stands(app: Flask, asked: Any, passes: bool) -> None:
    with app.app_context(), overrides.override(Override(never)):
        assert allowed(asked, identity=ALICE) is passes


def test_an_override_of_a_whole_reaches_it_but_not_its_parts(app: Flask) -> None:
    with app.app_context(), overrides.override(Override(never & always)):
        assert allowed(never & always, identity=ALICE)
        assert not allowed(never, identity=ALICE)


def test_an_override_meets_what_would_raise(app: Flask) -> None:
    @requirement
    def broken(identity: Any) -> bool:
        raise ValueError

    with app.app_context(), overrides.override(Override(broken)):
        assert allowed(broken, identity=ALICE)
        assert not allowed(~broken, identity=ALICE)


def counting(answer: bool, calls: list[Any]) -> Callable[[Any], bool]:
    def count(identity: Any) -> bool:
        calls.append(identity)
        return answer

    return count


@pytest.mark.parametrize("beside", [(), (always,), (always, has_permission("article:read"))])
def test_an_addition_that_the_guard_asks_already_runs_once(
    app: Flask, beside: tuple[Any, ...]
) -> None:
    calls: list[Any] = []
    counted = counting(False, calls)
    with app.app_context(), additions.additional(Additional(counted)):
        assert not allowed(requirement(counted), *beside, identity=ALICE)
    assert calls == [ALICE]


def test_an_addition_is_asked_before_the_guards_own_requirements(app: Flask) -> None:
    calls: list[Any] = []
    with app.app_context(), additions.additional(Additional(never)):
        assert not allowed(requirement(counting(True, calls)), identity=ALICE)
    assert calls == []


def test_an_addition_reaches_guards_that_ask_for_nothing_and_blueprint_guards(app: Flask) -> None:
    @app.before_request
    def tighten() -> None:
        additions.push(Additional(has_role("admin")))

    @app.get("/anybody")
    @requires()
    def anybody() -> str:
        return "passed"

    assert status(app, "/anybody") == 403
    assert get(app.test_client(), "/anybody", token_for(app, "root", "admin")).status_code == 200

    guarded = guarded_app()
    guarded.before_request(tighten)
    guard(guarded, always)
    guarded.add_url_rule("/", view_func=lambda: "passed")
    assert status(guarded, "/") == 403


def test_an_override_beats_an_addition(app: Flask) -> None:
    with app.app_context(), additions.additional(Additional(never)):
        assert not allowed(always, identity=ALICE)
        with overrides.override(Override(never)):
            assert allowed(always, identity=ALICE)


def test_no_override_stands_in_for_a_token(app: Flask) -> None:
    @app.before_request
    def push() -> None:
        overrides.push(Override(never))

    assert app.test_client().get("/never").status_code == 401


# Who is notified


def test_each_use_of_an_override_is_logged_at_warning(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jwt_authz")
    with app.app_context(), overrides.override(Override(never)):
        assert allowed(always | never, identity=ALICE)
        assert caplog.records == []
        assert allowed(always & never, identity=ALICE)
        assert allowed(never, identity=ALICE)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "yes never (overridden)" in caplog.messages[0]
    assert caplog.messages[1].startswith("allowed | outside a request | yes never (overridden)")


def test_the_log_of_a_refusal_names_the_overrides_that_it_saw(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    with app.app_context(), overrides.override(Override(never)), pytest.raises(Forbidden):
        authorize(never, has_role("editor"), identity=ALICE)
    assert "yes never (overridden);   no has_role('editor')" in caplog.messages[0]


def test_the_signal_tells_of_the_override(app: Flask) -> None:
    signals: list[Any] = []

    def receive(sender: Flask, **news: Any) -> None:
        signals.append((news["outcome"], news["decision"].used_override))

    with app.app_context(), decided.connected_to(receive):
        allowed(always, identity=ALICE)
        with overrides.override(Override(never)):
            allowed(never, identity=ALICE)
            allowed(never, has_role("editor"), identity=ALICE)
    assert signals == [("allowed", False), ("allowed", True), ("refused", True)]


def line_after(function: Callable[..., Any], lines: int) -> str:
    return f"{__name__}, line {function.__code__.co_firstlineno + lines}"


def test_check_lists_who_pushed_and_who_added(app: Flask) -> None:
    def use() -> None:
        overrides.push(Override(never))
        overrides.pop()
        with additions.additional(Additional()):
            current_additions.add(never)
        with overrides.override(Override()) as override:
            override += Override(always)
            override += Override()

    use()
    authz = app.extensions["jwt_authz"]
    assert isinstance(authz, Authz)
    with app.app_context():
        warnings = [text for text in authz.check() if "override or addition" in text]
    assert warnings == [
        f"an override or addition was pushed in {line_after(use, lines)} [AZ012]"
        for lines in (1, 4, 6)
    ]


def test_check_names_the_line_outside_the_library_also_through_a_proxy() -> None:
    def use() -> None:
        proxy = current_overrides
        proxy += Override(never)

    with overrides.override(Override()):
        use()
    assert InUse.pushed_at == {line_after(use, 2)}


def test_check_is_silent_where_nothing_was_pushed(app: Flask) -> None:
    with app.app_context():
        assert not [t for t in app.extensions["jwt_authz"].check() if "override" in t]


def test_what_check_lists_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InUse, "pushed_at", {f"line {n}" for n in range(1_000)})
    with overrides.override(Override(never)):
        assert len(InUse.pushed_at) == 1_000


# What they cost


def test_guards_look_nothing_up_until_something_was_pushed(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Any] = []

    def count(*arguments: Any) -> Any:
        looked.append(arguments)
        return module.applied(*arguments)

    monkeypatch.setattr(guards, "applied", count)
    assert status(app, "/never") == 403
    with app.app_context():
        assert allowed(always, identity=ALICE)
        assert looked == []
        with overrides.override(Override(never)):
            assert allowed(never, identity=ALICE)
    assert len(looked) == 1
