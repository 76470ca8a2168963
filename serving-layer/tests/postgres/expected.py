"""Works out answers.txt, with PostgreSQL alone:

    eval "$(dev/postgres up)"
    python3 serving-layer/tests/postgres/expected.py "$DOVETAIL_TEST_POSTGRES"

makes the table `v` of rows.ndjson in a schema of its own and asks it every statement of statements.sql. A block per
statement: the statement, `= ` and a row for each row, or `! ` and the error's code.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
COLUMNS = {
    "id": "bigint", "g": "varchar", "x": "int", "b": "bigint", "d": "float8", "n": "numeric(12,2)", "t": "varchar",
    "ts": "timestamp", "dt": "date", "bo": "boolean", "ar": "bigint[]", "by": "bytea",
}


def literal(column, value):
    if value is None:
        return "NULL"
    if column == "by":
        return f"decode('{value}', 'hex')"
    if column == "ar":
        value = "{" + ",".join("NULL" if x is None else str(x) for x in value) + "}"
    text = str(value).replace("'", "''")
    return f"'{text}'::{COLUMNS[column]}"


def setup():
    rows = [json.loads(line) for line in (HERE / "rows.ndjson").read_text().splitlines()]
    values = ",\n".join("(" + ", ".join(literal(c, row.get(c)) for c in COLUMNS) + ")" for row in rows)
    columns = ", ".join(f'"{c}" {t}' for c, t in COLUMNS.items())
    return f"CREATE TEMP TABLE v ({columns}); INSERT INTO v VALUES {values}; SET timezone = 'UTC';"


def main(url):
    begin = HERE / "answers.txt"
    prepare = setup()
    blocks = []
    for statement in (HERE / "statements.sql").read_text().splitlines():
        command = ["psql", url, "-qAtX", "-v", "VERBOSITY=verbose", "-F", "|", "-R", "\x1e", "-P", "null=NULL"]
        done = subprocess.run(command + ["-c", prepare, "-c", statement], capture_output=True, text=True)
        if done.returncode:
            found = re.search(r"ERROR:  ([0-9A-Z]{5}):", done.stderr)
            lines = [f"! {found[1]}" if found else sys.exit(done.stderr)]
        else:
            out = done.stdout[:-1] if done.stdout.endswith("\n") else done.stdout
            rows = out.split("\x1e") if done.stdout else []
            lines = ["= " + row.replace("\n", "\\n") for row in rows]
        blocks.append("\n".join([statement, *lines]))
    begin.write_text("\n\n".join(blocks) + "\n")


main(sys.argv[1])
