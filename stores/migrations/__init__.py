"""Alembic's migrations of the store's tables, the oldest first."""
