"""Runs in a PostgreSQL database, for those who want them off the machine that works."""

from intercom_bulk.runs.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
