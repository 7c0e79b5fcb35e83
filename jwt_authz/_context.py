"""What Flask's proxies stand for, asked once: each look through one costs as much as a check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, current_app, g, request

get_globals: Callable[[], Any] = g._get_current_object
get_request: Callable[[], Request] = request._get_current_object  # type: ignore[attr-defined]
get_app: Callable[[], Flask] = current_app._get_current_object  # type: ignore[attr-defined]
