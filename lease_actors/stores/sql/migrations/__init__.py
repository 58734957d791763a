"""From one version of the schema to the next, by Alembic. Nothing here is imported before that."""
