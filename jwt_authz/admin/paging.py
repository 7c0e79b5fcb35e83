"""Paging: which page of a list to show, and how many pages there are."""

from __future__ import annotations

from collections.abc import Sequence
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
