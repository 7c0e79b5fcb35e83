"""One error message for every optional dependency that is not installed."""

from __future__ import annotations

from types import TracebackType


class needs_extra:
    """Make a failed import name the extra that installs the missing library.

        with needs_extra(__name__, "redis-py", "redis"):
            import redis

    `what` is what cannot work without the library, `extra` the extra of this distribution, or
    several between commas. An ImportError in the block is replaced by one with that message.
    """

    def __init__(self, what: str, library: str, extra: str) -> None:
        self._message = (
            f"{what} needs {library}, which is not installed: pip install 'jwt_authz[{extra}]'"
        )

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, ImportError):
            raise ImportError(self._message, name=error.name) from error
