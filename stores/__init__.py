"""Persistence on SQLAlchemy Core, and the driver's own bulk calls below it on the hot path."""
