"""Ctrl-C for the main thread, at a moment that a test chooses."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType

_AGAIN = 0.1


@contextmanager
def interrupted(when: Callable[[], object]) -> Iterator[None]:
    """The block, in the main thread, is interrupted as soon as ``when()`` has returned.

    By SIGUSR1, which does here what Ctrl-C does, and cannot hit anything else. One that arrives
    after Python has looked for signals and before the system call that waits is handled only when
    that returns: so it is sent until it was heard.
    """
    main, heard = threading.main_thread().ident, threading.Event()
    assert main is not None

    def interrupt(number: int, frame: FrameType | None) -> None:
        if not heard.is_set():
            heard.set()
            raise KeyboardInterrupt

    def send() -> None:
        when()
        signal.pthread_kill(main, signal.SIGUSR1)
        while not heard.wait(_AGAIN):
            signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(send)
            yield
            sent.result()
    finally:
        signal.signal(signal.SIGUSR1, before)
