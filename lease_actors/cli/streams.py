"""Standard output and standard error, made ready for whatever a command has to say."""

from __future__ import annotations

import io
import os
import sys

__all__ = ["make_ready"]


def make_ready() -> None:
    """Both are there, and take every character: what their encoding has not, is escaped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed: nobody wants to read, and no file may take its number
            setattr(sys, name, open(os.devnull, "w", errors="backslashreplace"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
