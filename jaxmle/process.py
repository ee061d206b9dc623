"""Settings of the whole process that threads share, put back when the last of them is done."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator


class Shared:
    """A setting of the whole process that threads share: the first to come opens it, the last to go closes it."""

    def __init__(self, opened: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        self._opened, self._lock, self._users, self._stack = opened, threading.Lock(), 0, contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._stack.enter_context(self._opened())
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._stack.close()


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            gc.freeze()
            gc.unfreeze()  # what is young becomes old at once, instead of being looked through by the next collection
        gc.enable()


uncollected = Shared(_uncollected)
"""Inside, Python looks for no garbage in cycles: importing and tracing make many objects, and nearly all of them stay, so
that a look at all that JAX has ever made finds nothing and takes up to a tenth of a second."""
