"""psycopg 3, psycopg 2, SQLAlchemy and pandas against a server with the tests' pipeline.

usage: check.py PORT     needs: psycopg[binary] psycopg2-binary sqlalchemy pandas
"""

import datetime
import decimal
import sys

import pandas
import psycopg
import psycopg2
import sqlalchemy

PORT = int(sys.argv[1])
DSN = f"host=127.0.0.1 port={PORT} user=dovetail dbname=dovetail"


def equal(found, expected):
    assert found == expected, f"found {found!r}, expected {expected!r}"


def check_psycopg():
    with psycopg.connect(DSN) as connection:
        for binary in (False, True):
            with connection.cursor(binary=binary) as cursor:
                sql = "SELECT page, clicks, total FROM by_page WHERE clicks >= %s AND page <> %s ORDER BY page"
                equal(cursor.execute(sql, (1, "/b")).fetchall(), [("/a", 2, 310)])
                sql = "SELECT page FROM by_page WHERE page = ANY(%s) ORDER BY 1"
                equal(cursor.execute(sql, (["/a", "/nope"],)).fetchall(), [("/a",)])
                equal(cursor.execute("SELECT %b::bigint + 1, %t::text", (41, "ü'")).fetchone(), (42, "ü'"))
                types = """SELECT TIMESTAMP '2024-03-10 01:30:00', CAST('2024-03-10 01:30:00+00' AS TIMESTAMP WITH TIME ZONE),
                           CAST(1.50 AS DECIMAL(10, 2)), ARRAY[1, 2], DATE '2024-02-29', true, NULL::int, 1.5::double AS d, INTERVAL '1 day'"""
                row = cursor.execute(types).fetchone()
                equal(row[0], datetime.datetime(2024, 3, 10, 1, 30))
                equal(row[1], datetime.datetime(2024, 3, 10, 1, 30, tzinfo=datetime.timezone.utc))
                equal(row[2:8], (decimal.Decimal("1.50"), [1, 2], datetime.date(2024, 2, 29), True, None, 1.5))
                equal(row[8], datetime.timedelta(days=1))
        for _ in range(8):  # past the number after which psycopg prepares
            equal(connection.execute("SELECT clicks FROM by_page WHERE page = %s", ("/a",)).fetchone(), (2,))
        with connection.cursor(name="server_side") as cursor:
            cursor.execute("SELECT page FROM by_page ORDER BY page")
            equal([row[0] for row in cursor.fetchmany(1)] + [row[0] for row in cursor.fetchall()], ["/a", "/b"])
    with psycopg.connect(DSN, autocommit=True) as connection:
        try:
            connection.execute("INSERT INTO by_page VALUES ('/x', 1, 1)")
            raise AssertionError("a write was accepted")
        except psycopg.errors.ReadOnlySqlTransaction as error:
            assert "dovetail serves read-only views" in str(error), error
        try:
            connection.execute("SELECT nope FROM by_page")
        except psycopg.errors.UndefinedColumn as error:
            equal(error.diag.statement_position, "8")
        equal(connection.execute("SELECT 1").fetchone(), (1,))


def check_psycopg2():
    connection = psycopg2.connect(DSN)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT page, clicks FROM by_page WHERE clicks > %(least)s", {"least": 1})
        equal(cursor.fetchall(), [("/a", 2)])
    with connection, connection.cursor("server_side") as cursor:
        cursor.execute("SELECT page FROM by_page ORDER BY page")
        equal(cursor.fetchall(), [("/a",), ("/b",)])
    connection.close()


def check_sqlalchemy(driver):
    engine = sqlalchemy.create_engine(f"postgresql+{driver}://dovetail@127.0.0.1:{PORT}/dovetail")
    inspector = sqlalchemy.inspect(engine)
    schemas = inspector.get_schema_names()
    assert {"public", "batch", "speed", "raw", "sys"} <= set(schemas), schemas
    assert {"by_page", "by_user"} <= set(inspector.get_view_names()), inspector.get_view_names()
    equal(inspector.get_table_names(), [])
    assert "partitions" in inspector.get_table_names(schema="sys"), inspector.get_table_names(schema="sys")
    columns = {column["name"]: column["type"] for column in inspector.get_columns("by_page")}
    assert isinstance(columns["page"], sqlalchemy.TEXT) and isinstance(columns["clicks"], sqlalchemy.BIGINT), columns
    equal(inspector.get_pk_constraint("by_page")["constrained_columns"], [])
    equal(inspector.get_foreign_keys("by_page"), [])
    equal(inspector.get_indexes("by_page"), [])
    equal(inspector.has_table("by_page"), True)
    equal(inspector.has_table("nope"), False)
    metadata = sqlalchemy.MetaData()
    by_page = sqlalchemy.Table("by_page", metadata, autoload_with=engine)
    metadata.reflect(engine, schema="sys")
    assert "sys.views" in metadata.tables, list(metadata.tables)
    with engine.connect() as connection:
        query = sqlalchemy.select(by_page.c.page, sqlalchemy.func.sum(by_page.c.clicks)).group_by(by_page.c.page)
        query = query.where(by_page.c.clicks > 0).order_by(by_page.c.page).limit(1)
        equal([(page, int(clicks)) for page, clicks in connection.execute(query)], [("/a", 2)])
    frame = pandas.read_sql("SELECT page, clicks FROM by_page ORDER BY page", engine)
    equal(frame.to_dict("list"), {"page": ["/a", "/b"], "clicks": [2, 1]})
    equal(len(pandas.read_sql_table("by_page", engine)), 2)


failed = []
for name, check in [
    ("psycopg", check_psycopg),
    ("psycopg2", check_psycopg2),
    ("sqlalchemy with psycopg", lambda: check_sqlalchemy("psycopg")),
    ("sqlalchemy with psycopg2", lambda: check_sqlalchemy("psycopg2")),
]:
    try:
        check()
        print(f"{name}: ok")
    except Exception as error:  # each client is reported on its own
        import traceback

        traceback.print_exc()
        failed.append(name)
sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
