"""psycopg 3, psycopg 2, asyncpg, pg8000, ADBC, SQLAlchemy and pandas against a server with the tests' pipeline.

usage: check.py PORT
needs: psycopg[binary] psycopg2-binary asyncpg pg8000 adbc-driver-postgresql pyarrow sqlalchemy pandas
"""

import asyncio
import datetime
import decimal
import faulthandler
import io
import math
import sys
import traceback

import adbc_driver_postgresql.dbapi
import asyncpg
import pandas
import pg8000.dbapi
import pg8000.native
import psycopg
import psycopg2
import sqlalchemy

PORT = int(sys.argv[1])
DSN = f"host=127.0.0.1 port={PORT} user=dovetail dbname=dovetail"


def equal(found, expected):
    assert found == expected, f"found {found!r}, expected {expected!r}"


# One row that has a value of every kind in which clients were wrong, and what it is in Python.
TYPES = """SELECT arrow_cast(-5, 'Int8') AS i1, arrow_cast(-300, 'Int16') AS i2, arrow_cast('inf', 'Float64') AS f,
    CAST(-1.50 AS DECIMAL(12, 2)) AS n, arrow_cast('12345678901234567890123456789012345678901234567890.0123456789', 'Decimal256(60, 10)') AS w,
    TIMESTAMP '2026-03-01 12:34:56.5' AS ts, DATE '2026-03-01' AS d, TIME '12:34:56' AS t, INTERVAL '1 day 2 hours' AS iv,
    ARRAY['', 'NULL', NULL, 'x,y'] AS texts, ARRAY[TIMESTAMP '2026-03-01 12:34:56'] AS times, arrow_cast('ab', 'Binary') AS b, NULL AS nothing"""
EXPECTED = [
    -5, -300, math.inf, decimal.Decimal("-1.50"), decimal.Decimal("12345678901234567890123456789012345678901234567890.0123456789"),
    datetime.datetime(2026, 3, 1, 12, 34, 56, 500000), datetime.date(2026, 3, 1), datetime.time(12, 34, 56), datetime.timedelta(days=1, hours=2),
    ["", "NULL", None, "x,y"], [datetime.datetime(2026, 3, 1, 12, 34, 56)], b"ab", None,
]  # fmt: skip
# Conditions on one row, with a parameter of another type than the column's: what PostgreSQL answers.
ROW = """(VALUES ('a', CAST(1.50 AS DECIMAL(12, 2)), arrow_cast(7, 'Int8'), TIMESTAMP '2026-03-01 12:00:00', DATE '2026-03-01', '')) AS r(s, n, i, ts, d, e)"""
CONDITIONS = [
    ("n = {}", 1.5, True), ("n > {}", 1, True), ("n = {}", decimal.Decimal("1.5"), True), ("n = {}", decimal.Decimal("1.501"), False),
    ("i = {}", 7, True), ("i = {}", 7000, False), ("i < {}", 7.5, True), ("i = {}", 7.5, False),
    ("ts > {}", datetime.datetime(2026, 3, 1), True), ("ts < {}", datetime.date(2026, 3, 2), True),
    ("ts > TIMESTAMP '2026-03-02' - {}", datetime.timedelta(days=1), True), ("d = {}", datetime.date(2026, 3, 1), True), ("s = {}", "a", True),
    ("s = ANY({})", ["a", "b"], True), ("e = ANY({})", [""], True), ("s = ANY({})", ["NULL"], False), ("i = ANY({})", [7, 8], True),
]  # fmt: skip


def check_psycopg_types():
    with psycopg.connect(DSN) as connection:
        for binary in (False, True):
            with connection.cursor(binary=binary) as cursor:
                equal(list(cursor.execute(TYPES).fetchone()), EXPECTED)
                for mark in ("%s", "%b", "%t"):
                    for condition, value, finds in CONDITIONS:
                        sql = f"SELECT s FROM {ROW} WHERE {condition.format(mark)}"
                        equal((condition, mark, len(cursor.execute(sql, (value,)).fetchall())), (condition, mark, int(finds)))
                equal(cursor.execute("SELECT page FROM by_page ORDER BY page LIMIT %s OFFSET %s", (1, 1)).fetchall(), [("/b",)])
                equal(cursor.execute(f"SELECT s FROM {ROW} WHERE ts > %s", ("2026-03-01",)).fetchall(), [("a",)])
        with connection.cursor(binary=True) as cursor:
            equal(cursor.execute("SELECT named_struct('a', 1, 'b', arrow_cast(NULL, 'Utf8'))").fetchone(), ((1, None),))
        with connection.cursor() as cursor:
            with cursor.copy("COPY (SELECT page, clicks FROM by_page ORDER BY page) TO STDOUT") as copy:
                equal(list(copy.rows()), [("/a", "2"), ("/b", "1")])
            with cursor.copy("COPY (SELECT clicks FROM by_page ORDER BY page) TO STDOUT (FORMAT binary)") as copy:
                copy.set_types(["int8"])
                equal(list(copy.rows()), [(2,), (1,)])
        # A failed statement in a savepoint does not end the transaction.
        with connection.transaction():
            try:
                with connection.transaction():
                    connection.execute("SELECT 1/0")
            except psycopg.errors.DivisionByZero:
                pass
            equal(connection.execute("SELECT 1").fetchone(), (1,))
        for binary in (False, True):
            with connection.cursor(name="reader", binary=binary) as cursor:
                cursor.execute("SELECT x FROM generate_series(1, 10) AS t(x) WHERE x > %s ORDER BY x", (2,))
                cursor.scroll(2)
                equal(cursor.fetchmany(2), [(5,), (6,)])


def check_psycopg2_types():
    connection = psycopg2.connect(DSN)
    with connection, connection.cursor() as cursor:
        cursor.execute(TYPES)
        row = list(cursor.fetchone())
        row[11] = bytes(row[11])
        equal(row, EXPECTED)
        out = io.StringIO()
        cursor.copy_expert("COPY (SELECT page, clicks FROM by_page ORDER BY page) TO STDOUT WITH CSV HEADER", out)
        equal(out.getvalue(), "page,clicks\n/a,2\n/b,1\n")
    with connection, connection.cursor("reader") as cursor:
        cursor.execute("SELECT x FROM generate_series(1, 10) AS t(x) WHERE x > %s ORDER BY x", (2,))
        cursor.scroll(2)
        equal(cursor.fetchmany(2), [(5,), (6,)])
    connection.close()


def check_asyncpg():
    async def check():
        connection = await asyncpg.connect(host="127.0.0.1", port=PORT, user="dovetail", database="dovetail")
        equal(list(await connection.fetchrow(TYPES)), EXPECTED)
        equal(await connection.fetch("SELECT page FROM by_page ORDER BY page LIMIT $1 OFFSET $2", 1, 1), [("/b",)])
        for condition, value, finds in CONDITIONS:
            # asyncpg takes values of the column's own type only.
            if isinstance(value, (datetime.timedelta, float)) or type(value) is datetime.date and "ts" in condition:
                continue
            if condition.startswith("i ") and value == 7000:
                continue
            sql = f"SELECT s FROM {ROW} WHERE {condition.format('$1')}"
            equal((condition, len(await connection.fetch(sql, value))), (condition, int(finds)))
        equal(await connection.fetchval("SELECT $1::interval + $2::interval", datetime.timedelta(hours=1), datetime.timedelta(days=1)), datetime.timedelta(days=1, hours=1))
        equal(await connection.fetchval("SELECT named_struct('a', 1, 'b', arrow_cast(NULL, 'Utf8'))"), (1, None))
        async with connection.transaction():
            try:
                async with connection.transaction():
                    await connection.fetch("SELECT 1/0")
            except asyncpg.DivisionByZeroError:
                pass
            equal([row[0] async for row in connection.cursor("SELECT x FROM generate_series(1, 120) AS t(x) ORDER BY x")], list(range(1, 121)))
        out = io.BytesIO()
        await connection.copy_from_query("SELECT page FROM by_page WHERE page = $1", "/a", output=out, format="csv")
        equal(out.getvalue(), b"/a\n")
        equal(await connection.fetchval("SELECT 1"), 1)
        await connection.close()

    asyncio.run(check())


def check_pg8000():
    connection = pg8000.native.Connection("dovetail", host="127.0.0.1", port=PORT, database="dovetail")
    row = connection.run(TYPES)[0]
    equal(row, EXPECTED)
    for condition, value, finds in CONDITIONS:
        # Every value is a text whose type the server finds: here a `smallint`, which 7.5 is not.
        if condition.startswith("i ") and isinstance(value, float):
            try:
                connection.run(f"SELECT s FROM {ROW} WHERE {condition.format(':p')}", p=value)
                raise AssertionError("7.5 was taken for a whole number")
            except pg8000.exceptions.DatabaseError as error:
                equal(error.args[0]["C"][:2], "22")
            continue
        mark = ":p::interval" if isinstance(value, datetime.timedelta) else ":p"
        sql = f"SELECT s FROM {ROW} WHERE {condition.format(mark)}"
        equal((condition, len(connection.run(sql, p=value))), (condition, int(finds)))
    equal(connection.run("SELECT page FROM by_page ORDER BY page LIMIT :n", n=1), [["/a"]])
    connection.close()
    connection = pg8000.dbapi.connect("dovetail", host="127.0.0.1", port=PORT, database="dovetail")
    cursor = connection.cursor()
    cursor.execute("SELECT page FROM by_page WHERE clicks >= %s ORDER BY page LIMIT %s", (1, 1))
    equal(list(cursor.fetchall()), [["/a"]])
    connection.rollback()
    connection.close()


def check_adbc():
    with adbc_driver_postgresql.dbapi.connect(f"postgresql://dovetail@127.0.0.1:{PORT}/dovetail") as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT page, clicks FROM by_page ORDER BY page")
            equal(cursor.fetch_arrow_table().to_pydict(), {"page": ["/a", "/b"], "clicks": [2, 1]})
            cursor.execute("SELECT arrow_cast(-5, 'Int8') AS i, TIMESTAMP '2026-03-01 12:34:56.5' AS ts, CAST('-inf' AS DOUBLE) AS f, ARRAY['', NULL] AS a, NULL AS n")
            table = cursor.fetch_arrow_table().to_pylist()
            equal(table, [{"i": -5, "ts": datetime.datetime(2026, 3, 1, 12, 34, 56, 500000), "f": -math.inf, "a": ["", None], "n": None}])
            cursor.execute("SELECT page FROM by_page WHERE page = $1", ("/a",))
            equal(cursor.fetchall(), [("/a",)])
        equal(connection.adbc_get_table_schema("by_page").names, ["page", "clicks", "total"])
        frame = pandas.read_sql("SELECT page, clicks FROM by_page ORDER BY page", connection)
        equal(frame.to_dict("list"), {"page": ["/a", "/b"], "clicks": [2, 1]})


# What Grafana's editor asks for its lists of tables and columns.
SEARCH_PATH = """quote_ident(table_schema) IN (
    SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
    FROM generate_series(array_lower(string_to_array(current_setting('search_path'),','),1),
        array_upper(string_to_array(current_setting('search_path'),','),1)) as i, string_to_array(current_setting('search_path'),',') s)"""


def check_pickers():
    with psycopg.connect(DSN, autocommit=True) as connection:
        tables = f"""select quote_ident(table_name) as "table" from information_schema.tables
            where quote_ident(table_schema) not in ('information_schema', 'pg_catalog', '_timescaledb_cache') and {SEARCH_PATH} order by 1"""
        equal([row[0] for row in connection.execute(tables)], ["busy", "by_page", "by_user", "everything", "slow"])
        columns = f"""select quote_ident(column_name) as "column", data_type as "type" from information_schema.columns
            where {SEARCH_PATH} and quote_ident(table_name) = 'by_page'"""
        equal(connection.execute(columns).fetchall(), [("page", "text"), ("clicks", "bigint"), ("total", "numeric")])
        # Later versions of it.
        tables = f"""SELECT CASE WHEN {SEARCH_PATH} THEN quote_ident(table_name)
            ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table" FROM information_schema.tables
            WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache')
            ORDER BY CASE WHEN {SEARCH_PATH} THEN 0 ELSE 1 END, 1"""
        equal([row[0] for row in connection.execute(tables)][:6], ["busy", "by_page", "by_user", "everything", "slow", "batch.busy"])
        columns = f"""select quote_ident(column_name) as "column", data_type as "type" from information_schema.columns
            where CASE WHEN array_length(parse_ident('by_page'),1) = 2
            THEN quote_ident(table_schema) = (parse_ident('by_page'))[1] AND quote_ident(table_name) = (parse_ident('by_page'))[2]
            ELSE {SEARCH_PATH} AND quote_ident(table_name) = 'by_page' END"""
        equal(len(connection.execute(columns).fetchall()), 3)
        equal(connection.execute("SELECT current_setting('server_version_num')::int/100 as version").fetchone(), (1600,))
        # DBeaver.
        schemas = """SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n
            LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass ORDER BY nspname"""
        assert "public" in [row[2] for row in connection.execute(schemas)]
        relations = """SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr, pg_catalog.pg_get_partkeydef(c.oid) as partition_key
            FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass
            WHERE c.relnamespace=(SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'public') AND c.relkind not in ('i','I','c')"""
        equal(sorted(row[2] for row in connection.execute(relations)), ["busy", "by_page", "by_user", "everything", "slow"])
        columns = """SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid FROM pg_catalog.pg_attribute a
            INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid) LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum)
            LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)
            LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid
            WHERE NOT a.attisdropped AND c.relname = 'by_page' ORDER BY a.attnum"""
        assert len(connection.execute(columns).fetchall()) >= 3


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


CHECKS = {
    "psycopg": check_psycopg,
    "psycopg types": check_psycopg_types,
    "psycopg2": check_psycopg2,
    "psycopg2 types": check_psycopg2_types,
    "asyncpg": check_asyncpg,
    "pg8000": check_pg8000,
    "adbc": check_adbc,
    "grafana and dbeaver": check_pickers,
    "sqlalchemy with psycopg": lambda: check_sqlalchemy("psycopg"),
    "sqlalchemy with psycopg2": lambda: check_sqlalchemy("psycopg2"),
}
failed = []
for name, check in CHECKS.items():
    # A client that waits for ever says where, and ends.
    faulthandler.dump_traceback_later(60, exit=True)
    try:
        check()
        print(f"{name}: ok", flush=True)
    except Exception:  # each client is reported on its own
        traceback.print_exc()
        failed.append(name)
    faulthandler.cancel_dump_traceback_later()
sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
