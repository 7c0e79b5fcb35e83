"""VerifiedCache: bounded in bytes, and not to be emptied by a flood."""

import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Protocol

import pytest

from jwt_authz.tokens.cache import CacheEntry, VerifiedCache
from tests.steps import steps_of

NOW = time.time()
LATER = NOW + 86_400.0
KIB = 1_024


class Cache(Protocol):
    """What the flood asks of a cache."""

    def get(self, digest: bytes, now: float) -> CacheEntry | None: ...
    def put(self, digest: bytes, entry: CacheEntry, now: float) -> None: ...


def entry(size: int = 700, expires: float = LATER, **shared: Any) -> CacheEntry:
    return CacheEntry(object(), expires=expires, starts=0.0, size=size, **shared)


def digest(number: int, kind: str = "") -> bytes:
    return f"{kind}{number:020}".encode()


COST = entry().size  # what one entry counts for


def counted(cache: VerifiedCache) -> int:
    """The bytes of what can be got, worked out again: what is shared once, the rest apiece."""
    held = list(cache._entries.values())
    shared = {id(one.shared): one.shared_size for one in held if one.shared_size}
    return sum(one.size for one in held) + sum(shared.values())


def check(cache: VerifiedCache) -> None:
    """The accounts are right, and nothing is held that cannot be got."""
    assert cache.size == counted(cache)
    assert cache.size <= cache.limit
    assert len(cache) == len(cache._entries)
    assert {**cache._young, **cache._settled} == cache._entries
    assert len(cache._young) + len(cache._settled) == len(cache._entries)
    assert cache._young_size == sum(one.size for one in cache._young.values())
    holders: dict[int, int] = {}
    for one in cache._entries.values():
        if one.shared_size:
            holders[id(one.shared)] = holders.get(id(one.shared), 0) + 1
    assert cache._holders == holders


# Kept and got


def test_what_was_put_can_be_got_and_nothing_else() -> None:
    cache = VerifiedCache(100 * KIB)
    one, other = entry(), entry()
    cache.put(b"one", one, NOW)
    cache.put(b"other", other, NOW)
    assert cache.get(b"one", NOW) is one
    assert cache.get(b"other", NOW) is other
    for missing in (b"", b"on", b"one ", b"third"):
        assert cache.get(missing, NOW) is None
    assert len(cache) == 2
    check(cache)


def test_a_new_cache_is_empty() -> None:
    cache = VerifiedCache(100 * KIB)
    assert len(cache) == 0
    assert cache.size == 0
    assert cache.get(b"one", NOW) is None


@pytest.mark.parametrize("limit", [0, 1, COST - 1, COST, 9 * COST])
def test_a_cache_too_small_for_an_entry_keeps_nothing(limit: int) -> None:
    cache = VerifiedCache(limit)
    for number in range(10):
        cache.put(digest(number), entry(), NOW)
        assert cache.get(digest(number), NOW) is None
    assert len(cache) == 0
    assert cache.size == 0


def test_one_huge_entry_does_not_push_out_all_the_others() -> None:
    cache = VerifiedCache(100 * COST)
    for number in range(50):
        cache.put(digest(number), entry(), NOW)
    cache.put(b"huge", entry(60 * COST), NOW)
    assert cache.get(b"huge", NOW) is None
    cache.put(b"shared", entry(1, shared=object(), shared_size=60 * COST), NOW)
    assert cache.get(b"shared", NOW) is None
    assert sum(cache.get(digest(number), NOW) is not None for number in range(50)) == 50
    check(cache)


def test_an_entry_put_twice_is_counted_once() -> None:
    cache = VerifiedCache(100 * KIB)
    for _ in range(5):
        cache.put(b"one", entry(), NOW)
        check(cache)
    assert len(cache) == 1
    assert cache.size == COST


def test_larger_payloads_count_for_more_and_no_entry_for_nothing() -> None:
    assert entry(5_000).size - entry(1_000).size == 4_000
    assert entry(0).size > 200


# Bounded


@pytest.mark.parametrize("limit", [64 * KIB, 256 * KIB, 1_024 * KIB])
def test_the_bytes_never_pass_the_limit_whatever_the_sizes(limit: int) -> None:
    """SECURITY 2.53, F10."""
    random, cache = Random(limit), VerifiedCache(limit)
    shared = [[object(), random.randint(100, 2_000)] for _ in range(20)]
    for number in range(5_000):
        held, held_size = random.choice(shared)
        of = {"shared": held, "shared_size": held_size} if number % 3 else {}
        cache.put(digest(number), entry(random.randint(1, limit // 20), **of), NOW)
        assert cache.size <= limit
        for _ in range(random.randint(0, 3)):
            cache.get(digest(random.randint(0, number)), NOW)
        if number % 500 == 0:
            check(cache)
    check(cache)
    assert cache.size > limit // 2


def test_the_room_there_is_gets_used() -> None:
    cache = VerifiedCache(1_000 * COST)
    for number in range(1_000):
        cache.put(digest(number), entry(), NOW)
    assert len(cache) >= 990
    for number in range(1_000, 5_000):
        cache.put(digest(number), entry(), NOW)
    assert len(cache) >= 990
    check(cache)


def test_what_is_hit_stays_and_what_is_not_goes() -> None:
    cache = VerifiedCache(1_000 * COST)
    hot = [digest(number, "hot") for number in range(100)]
    for one in hot:
        cache.put(one, entry(), NOW)
        cache.get(one, NOW)
    for number in range(20_000):
        cache.put(digest(number), entry(), NOW)
    assert sum(cache.get(one, NOW) is not None for one in hot) == 100
    assert sum(cache.get(digest(number), NOW) is not None for number in range(1_000)) < 950


def test_a_crowd_that_is_not_seen_again_gives_way_to_the_next() -> None:
    cache = VerifiedCache(1_000 * COST)
    for number in range(900):
        cache.put(digest(number, "old"), entry(), NOW)
        for _ in range(50):
            cache.get(digest(number, "old"), NOW)
    now = NOW + 2 * 3_600
    for _ in range(10):
        now += 20
        for number in range(900):
            one = digest(number, "new")
            if cache.get(one, now) is None:
                cache.put(one, entry(), now)
            cache.get(one, now)
    kept = sum(cache.get(digest(number, "new"), now) is not None for number in range(900))
    assert kept >= 600
    check(cache)


def test_one_that_is_hit_all_the_time_shields_none_that_is_not() -> None:
    cache = VerifiedCache(1_000 * COST)
    cache.put(b"busy", entry(), NOW)
    for number in range(2_000):
        cache.put(digest(number, "dead"), entry(), NOW)
        cache.get(b"busy", NOW)
    for number in range(500):
        one = digest(number, "live")
        for _ in range(3):
            use(cache, one, NOW)
    assert cache.get(b"busy", NOW) is not None
    assert sum(cache.get(digest(n, "live"), NOW) is not None for n in range(500)) >= 450
    check(cache)


# What is shared


def test_what_entries_share_is_counted_once_and_as_long_as_one_of_them_is_kept() -> None:
    cache = VerifiedCache(1_000 * COST)
    held = object()
    for number in range(10):
        shared = {"shared": held, "shared_size": 5_000}
        cache.put(digest(number), entry(expires=NOW + 100 + number, **shared), NOW)
        check(cache)
    assert cache.size == 10 * COST + 5_000
    for gone in range(1, 11):
        cache.get(b"", NOW + 100 + gone * 40)  # time enough for a sweep
        check(cache)
    assert len(cache) == 0
    assert cache.size == 0


def test_two_equal_objects_that_are_not_one_are_counted_apart() -> None:
    cache = VerifiedCache(1_000 * COST)
    one, other = frozenset({"a"}), frozenset({"a", "b"} - {"b"})
    assert one == other and one is not other
    cache.put(b"one", entry(shared=one, shared_size=1_000), NOW)
    cache.put(b"other", entry(shared=other, shared_size=1_000), NOW)
    assert cache.size == 2 * COST + 2_000
    check(cache)


# The time


def test_the_cache_itself_hands_out_what_has_expired_for_its_caller_to_judge() -> None:
    cache = VerifiedCache(100 * KIB)
    one = entry(expires=NOW - 10)
    cache.put(b"one", one, NOW)
    assert cache.get(b"one", NOW) in (one, None)


@pytest.mark.parametrize("hits", [0, 1, 100])
def test_what_has_expired_is_gone_within_a_minute_of_use(hits: int) -> None:
    """SECURITY F10."""
    cache = VerifiedCache(1_000 * COST)
    for number in range(400):
        cache.put(digest(number), entry(expires=NOW + 10 + number % 2 * 10_000), NOW)
        for _ in range(hits):
            cache.get(digest(number), NOW)
    for second in range(0, 71, 5):
        cache.get(b"anything", NOW + second)
    assert len(cache) == 200
    assert cache.size == 200 * COST
    assert all(one.expires > NOW + 70 for one in cache._entries.values())
    check(cache)


def test_sweeping_takes_nothing_that_is_still_good() -> None:
    cache = VerifiedCache(1_000 * COST)
    for number in range(500):
        cache.put(digest(number), entry(expires=NOW + 10_000), NOW)
    for second in range(0, 5_000, 10):
        cache.get(b"anything", NOW + second)
    assert len(cache) == 500


def test_a_clock_that_jumps_back_or_far_ahead_breaks_nothing() -> None:
    cache = VerifiedCache(1_000 * COST)
    for number, now in enumerate([NOW, NOW - 3_600, NOW + 3_600, NOW - 1e9, 0.0, NOW + 1e9, NOW]):
        for more in range(300):
            one = digest(1_000 * number + more)
            cache.put(one, entry(expires=now + 60), now)
            assert cache.get(one, now) is not None
        check(cache)


# The flood

HOT, FLOOD = 1_000, 100


class Once:
    """Each flood token comes once."""

    def __init__(self) -> None:
        self.count = 0

    def next(self) -> list[bytes]:
        self.count += 1
        return [digest(self.count, "flood")]


class TwiceInARow(Once):
    """Each comes twice, at once."""

    def next(self) -> list[bytes]:
        return super().next() * 2


class TwiceWithOthersBetween(Once):
    """Each comes twice, the second time after so many others."""

    def __init__(self, between: int) -> None:
        super().__init__()
        self.waiting: deque[bytes] = deque()
        self.between = between

    def next(self) -> list[bytes]:
        (new,) = super().next()
        self.waiting.append(new)
        return [new, self.waiting.popleft()] if len(self.waiting) > self.between else [new]


FLOODS: dict[str, Callable[[], Once]] = {
    "once": Once,
    "twice in a row": TwiceInARow,
    "twice, 10 between": lambda: TwiceWithOthersBetween(10),
    "twice, 500 between": lambda: TwiceWithOthersBetween(500),
    "twice, 5,000 between": lambda: TwiceWithOthersBetween(5_000),
    "twice, 30,000 between": lambda: TwiceWithOthersBetween(30_000),
}
LIMIT = 24 * KIB * KIB
SIZE = 1_200 - (COST - 700)  # an entry of a 700-byte token counts for 1.2 KB


def use(cache: Cache, one: bytes, now: float) -> bool:
    """Ask for a token, and keep it if it is not known; returns whether it was."""
    if cache.get(one, now) is not None:
        return True
    cache.put(one, entry(SIZE), now)
    return False


def hits_of_hundred(cache: Cache, flood: Once, rounds: int, per_second: float = 20_000) -> float:
    """How many of a hundred hot requests hit, at a hundred flood tokens to one hot."""
    now, hit, asked, random = NOW, 0, 0, Random(1)
    hot = [digest(number, "hot") for number in range(HOT)]
    for _ in range(3):  # in use before the flood begins
        for one in hot:
            use(cache, one, now)
    for _ in range(rounds):
        random.shuffle(hot)
        for one in hot:
            sent = 0
            while sent < FLOOD:
                for bad in flood.next():
                    use(cache, bad, now)
                    sent += 1
                now += 1 / per_second
            hit += use(cache, one, now)
            asked += 1
    return 100 * hit / asked


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOODS)
def test_tokens_in_use_before_a_flood_are_hit_ninety_times_of_a_hundred(name: str) -> None:
    """SECURITY F10."""
    cache = VerifiedCache(LIMIT)
    assert hits_of_hundred(cache, FLOODS[name](), rounds=2) >= 90
    assert len(cache) > HOT
    check(cache)


@pytest.mark.slow
def test_tokens_in_use_before_a_slow_flood_are_hit_ninety_times_of_a_hundred() -> None:
    # Four minutes go by until a hot token comes again.
    rate = HOT * FLOOD / 240
    assert hits_of_hundred(VerifiedCache(LIMIT), Once(), rounds=2, per_second=rate) >= 90
    assert hits_of_hundred(VerifiedCache(LIMIT), TwiceInARow(), rounds=2, per_second=rate / 2) >= 90


@pytest.mark.long
@pytest.mark.parametrize("name", FLOODS)
def test_tokens_in_use_before_a_long_flood_are_hit_ninety_times_of_a_hundred(name: str) -> None:
    """SECURITY F10."""
    cache = VerifiedCache(LIMIT)
    assert hits_of_hundred(cache, FLOODS[name](), rounds=30) >= 90
    check(cache)


class PlainLru:
    """As many bytes, and the least recently used goes first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.kept: OrderedDict[bytes, CacheEntry] = OrderedDict()
        self.size = 0

    def get(self, digest: bytes, now: float) -> CacheEntry | None:
        found = self.kept.get(digest)
        if found is not None:
            self.kept.move_to_end(digest)
        return found

    def put(self, digest: bytes, entry: CacheEntry, now: float) -> None:
        self.kept[digest] = entry
        self.size += entry.size
        while self.size > self.limit:
            self.size -= self.kept.popitem(last=False)[1].size


@pytest.mark.slow
@pytest.mark.parametrize("name", ["once", "twice in a row", "twice, 500 between"])
def test_the_same_flood_empties_a_plain_cache_of_the_same_size(name: str) -> None:
    """The negative control: the flood is one that does harm."""
    assert hits_of_hundred(PlainLru(LIMIT), FLOODS[name](), rounds=2) < 50


def test_a_plain_cache_hits_as_often_where_there_is_not_a_flood() -> None:
    class Silence(Once):
        def next(self) -> list[bytes]:
            return [digest(0, "hot")]

    for cache in (PlainLru(LIMIT), VerifiedCache(LIMIT)):
        assert hits_of_hundred(cache, Silence(), rounds=1) == 100


@pytest.mark.slow
def test_a_flood_costs_no_more_for_each_token_the_longer_it_lasts() -> None:
    cache, flood = VerifiedCache(2 * KIB * KIB), Once()

    def steps(count: int) -> int:
        return steps_of(lambda: [use(cache, flood.next()[0], NOW) for _ in range(count)])

    steps(100)
    first = steps(1_000)
    for _ in range(50_000):
        use(cache, flood.next()[0], NOW)
    assert steps(1_000) < 2 * first


# Threads


def hammer(cache: VerifiedCache, seed: int, rounds: int, errors: list[BaseException]) -> None:
    random = Random(seed)
    try:
        for number in range(rounds):
            one = digest(random.randint(0, 3_000))
            now = NOW + number / 20
            if cache.get(one, now) is None:
                of = SHARED[random.randint(0, 9)]
                cache.put(
                    one, entry(random.randint(1, 3_000), now + random.randint(1, 90), **of), now
                )
    except BaseException as error:
        errors.append(error)


SHARED = [{"shared": object(), "shared_size": 100 * number} for number in range(10)]


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns a thousand times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize("limit", [40 * KIB, 400 * KIB, 8 * KIB * KIB])
def test_the_accounts_are_right_after_sixteen_threads_at_once(limit: int) -> None:
    cache, errors = VerifiedCache(limit), list[BaseException]()
    threads = [threading.Thread(target=hammer, args=(cache, n, 2_000, errors)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(cache) > 0
    check(cache)


@pytest.mark.usefixtures("quick_switches")
def test_no_thread_is_given_the_entry_of_another_token() -> None:
    """SECURITY 1.20, 2.52."""
    cache, wrong = VerifiedCache(400 * KIB), list[Any]()

    def ask(seed: int) -> None:
        random = Random(seed)
        for _ in range(3_000):
            number = random.randint(0, 500)
            found = cache.get(digest(number), NOW)
            if found is None:
                cache.put(digest(number), CacheEntry(number, LATER, 0.0, 700), NOW)
            elif found.value != number:
                wrong.append((number, found.value))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    check(cache)


def test_hits_and_misses_are_counted_over_all_that_was_ever_kept() -> None:
    cache, random, found = VerifiedCache(60 * COST), Random(7), 0
    for number in range(3_000):
        one = digest(random.randrange(200))
        if cache.get(one, NOW) is None:
            cache.count_miss()
            cache.put(one, entry(), NOW)
        else:
            found += 1
        if number % 100 == 0:
            assert cache.counts == (found, number + 1 - found)
    assert len(cache) < 100 < found
    cache.get(digest(0), LATER + 1)  # a sweep, in which all go
    assert len(cache) == 0
    assert cache.counts == (found, 3_000 - found)
