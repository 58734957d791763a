"""How many transactions a database has committed so far, by its own count."""

from __future__ import annotations

from urllib.parse import urlsplit


def transactions(url: str) -> int | None:
    """None where nobody counts them."""
    where = urlsplit(url)
    if where.scheme.startswith("postgresql"):
        return _postgresql(url.replace(where.scheme, "postgresql", 1))
    if where.scheme.startswith("mysql"):
        return _mysql(url)
    return None


def _postgresql(url: str) -> int:
    import psycopg

    query = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    count: int = row[0]
    return count


def _mysql(url: str) -> int:
    import pymysql

    where = urlsplit(url)
    connection = pymysql.connect(
        host=where.hostname, port=where.port or 3306, user=where.username, password=where.password
    )
    with connection, connection.cursor() as cursor:
        # Com_commit does not count what autocommit commits.
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Handler_commit'")
        return int(cursor.fetchone()[1])
