"""The version, in one place; no dependency is imported to read it."""

__version__ = "0.1.0.dev0"
