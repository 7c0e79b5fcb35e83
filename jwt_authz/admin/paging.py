"""Paging: a page of a list, and the choices that a form offers out of many."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list: its items, its number from 1, and the number of pages and of items."""

    items: Sequence[Any]
    number: int
    count: int
    total: int


def last_page(total: int, size: int) -> int:
    """Return the number of the last page; an empty list has one page."""
    return -(-total // size) or 1


def page_of(found: Sequence[Any], number: int, size: int) -> ListPage:
    """Return a page of a list; the last one if the number is larger."""
    count = last_page(len(found), size)
    number = min(number, count)
    return ListPage(found[(number - 1) * size : number * size], number, count, len(found))


FEW = 40
"""A form shows all choices if there are at most this many."""
_OFFERED = 30


@dataclass(frozen=True, slots=True)
class Choices:
    """What a form offers: the chosen ones first, then others that match a search.

    `hidden` is the number of further matches, which are not shown.
    """

    chosen: Sequence[str]
    others: Sequence[str]
    hidden: int
    search: str
    is_long: bool


def choices(known: Iterable[str], chosen: Collection[str], search: str) -> Choices:
    """Return the choices for a form, in the order of `known`; all of them if they are few."""
    names = list(known)
    others = [name for name in names if name not in chosen]
    is_long = len(names) > FEW
    if is_long:
        others = [name for name in others if search in name]
    shown = others[:_OFFERED] if is_long else others
    first = [name for name in names if name in chosen] if is_long else []
    return Choices(first, shown if is_long else names, len(others) - len(shown), search, is_long)
