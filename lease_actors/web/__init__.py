"""A page for operators, as a WSGI application that any server or framework can mount."""

from __future__ import annotations

from lease_actors.web.app import LeasesApp

__all__ = ["LeasesApp"]
