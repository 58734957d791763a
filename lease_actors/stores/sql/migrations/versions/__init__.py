"""The revisions, which Alembic loads by their paths."""
