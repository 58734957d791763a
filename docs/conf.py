"""How the documentation is built: `tox -e docs`."""

from __future__ import annotations

from importlib.metadata import version as installed_version

project = "lease-actors"
author = "lease_actors developers"
release = version = installed_version("lease-actors")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"lease-actors {release}"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_display_short_literal_types = True

# Nothing is fetched while building, so names of other projects do not resolve.
nitpick_ignore_regex = [
    ("py:.*", r"(collections|concurrent|datetime|logging|os|threading|types|typing)\..*"),
    ("py:.*", r"(opentelemetry|prometheus_client|pykka|sqlalchemy|pytest)\..*"),
    ("py:.*", r"(pathlib|uuid)\..*"),
    ("py:class", r"(lease_actors\.roles\.\w+\.)?[PT]"),  # type variables
]
