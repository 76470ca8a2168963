#!/usr/bin/env python3
"""Checks Grafana's dashboards without Grafana.

The SQL of every panel and variable is run against a serving layer, with Grafana's macros replaced as Grafana replaces
them; every name in a Prometheus expression has to be a metric that the sources record, or that a process showed.

    check.py                                        layout, sources of data, metrics of the Rust sources
    PGHOST=127.0.0.1 PGPORT=5433 check.py --sql     and runs the SQL (needs psycopg 3)
    check.py --sql --rows                           and wants a row of each
    check.py --metrics http://127.0.0.1:8311/metrics --metrics saved.txt     metrics of these, not of the sources
    check.py --prometheus http://127.0.0.1:9090     and lets Prometheus parse every expression

Prints a line per dashboard, and each finding with its place. Exit code 1 if there is one.
"""

import argparse
import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# What PromQL has between metrics. Names of labels are cut away before.
WORDS = set(
    "and or unless on ignoring bool offset by without group_left group_right atan2 inf nan "
    "sum min max avg count stddev stdvar topk bottomk quantile group count_values "
    "rate irate increase delta idelta deriv abs ceil floor round clamp clamp_min clamp_max sgn sqrt exp ln log2 log10 "
    "histogram_quantile histogram_sum histogram_count label_replace label_join vector scalar time absent absent_over_time changes resets "
    "avg_over_time min_over_time max_over_time sum_over_time count_over_time last_over_time quantile_over_time".split()
)
# What Prometheus itself records of a target.
OWN = {"up", "scrape_duration_seconds", "scrape_samples_scraped"}


def main() -> int:
    args = arguments()
    known = metrics_shown(args.metrics) if args.metrics else metrics_recorded(ROOT)
    uids = set(re.findall(r"^\s*uid:\s*(\S+)", (HERE / "provisioning/datasources/dovetail.yml").read_text(), re.M))
    connection = connect() if args.sql else None
    findings = []
    for path in sorted(args.dashboards or (HERE / "dashboards").glob("*.json")):
        board = json.loads(path.read_text())
        found = list(layout(board, uids))
        expressions = prometheus_expressions(board)
        for place, expression in expressions:
            found += [f"{place}: no metric `{name}`" for name in sorted(names(expression) - known - OWN)]
            if args.prometheus:
                found += [f"{place}: {why}" for why in refused(args.prometheus, expression)]
        queries = postgres_queries(board)
        if connection:
            found += run_all(connection, board, queries, args.rows)
        print(f"{path.name}: {len(queries)} SQL{'' if connection else ' (not run)'}, {len(expressions)} PromQL, {len(found)} findings")
        findings += [f"{path.name}: {finding}" for finding in found]
    for finding in findings:
        print(finding, file=sys.stderr)
    return 1 if findings else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dashboards", nargs="*", type=Path, help="JSON files; by default all in dashboards/")
    parser.add_argument("--sql", action="store_true", help="run the SQL at PGHOST (127.0.0.1), PGPORT (5433)")
    parser.add_argument("--rows", action="store_true", help="with --sql: an answer without rows is a finding")
    parser.add_argument("--metrics", action="append", metavar="FILE|URL", help="text of /metrics; may be said again")
    parser.add_argument("--prometheus", metavar="URL", help="a Prometheus that parses the expressions")
    return parser.parse_args()


def panels(board: dict) -> list[dict]:
    """The panels, those inside of collapsed rows too."""
    return [panel for top in board["panels"] for panel in [top, *top.get("panels", [])]]


def layout(board: dict, uids: set[str]):
    seen, taken = set(), {}
    for panel in panels(board):
        place = f"panel `{panel.get('title', panel['id'])}`"
        if panel["id"] in seen:
            yield f"{place}: id {panel['id']} is there twice"
        seen.add(panel["id"])
        grid = panel["gridPos"]
        if grid["x"] + grid["w"] > 24:
            yield f"{place}: wider than the page"
        for cell in ((x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])):
            if cell in taken:
                yield f"{place}: lies over {taken[cell]}"
                break
            taken[cell] = place
        if panel["type"] == "row":
            continue
        for target in panel["targets"]:
            if target["datasource"]["uid"] not in uids:
                yield f"{place}: data source `{target['datasource']['uid']}` is not provisioned"


def prometheus_expressions(board: dict) -> list[tuple[str, str]]:
    return [(f"panel `{p['title']}` {t['refId']}", t["expr"]) for p in panels(board) for t in p.get("targets", []) if "expr" in t]


def postgres_queries(board: dict) -> list[tuple[str, str, str]]:
    """Place, format and SQL."""
    targets = [(panel, target) for panel in panels(board) for target in panel.get("targets", [])]
    return [(f"panel `{p['title']}` {t['refId']}", t["format"], t["rawSql"]) for p, t in targets if "rawSql" in t]


def names(expression: str) -> set[str]:
    """The metrics in a PromQL expression."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    return {word for word in re.findall(r"(?<![\w.$])[a-zA-Z_:][\w:]*", bare) if word.lower() not in WORDS}


def metrics_recorded(root: Path) -> set[str]:
    """The metrics that the Rust sources name, as they come out: a histogram is shown as a summary."""
    found = set()
    for path in root.rglob("src/**/*.rs"):
        if "target" in path.relative_to(root).parts:
            continue
        text = path.read_text()
        for kind, name in re.findall(r'\b(counter|gauge|histogram)!\(\s*"(\w+)"', text):
            found |= {name, f"{name}_sum", f"{name}_count"} if kind == "histogram" else {name}
        # Names that are handed on: `self.count("dovetail_..", ..)`.
        found |= set(re.findall(r'"(dovetail_\w+_total)"', text))
    return found


def metrics_shown(places: list[str]) -> set[str]:
    found = set()
    for place in places:
        text = urllib.request.urlopen(place).read().decode() if "://" in place else Path(place).read_text()
        found |= {match[1] for line in text.splitlines() if (match := re.match(r"([a-zA-Z_:][\w:]*)[{ ]", line))}
    return found


def refused(prometheus: str, expression: str):
    """What Prometheus has against an expression."""
    expression = re.sub(r"\$__(rate_interval|interval|range)", "1m", expression)
    url = f"{prometheus.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    try:
        urllib.request.urlopen(url).read()
    except urllib.error.HTTPError as error:
        yield json.loads(error.read()).get("error", str(error))


def connect():
    import psycopg

    host, port = os.environ.get("PGHOST", "127.0.0.1"), os.environ.get("PGPORT", "5433")
    return psycopg.connect(host=host, port=port, user="grafana", dbname="dovetail", sslmode="disable", autocommit=True)


def run_all(connection, board: dict, queries: list[tuple[str, str, str]], want_rows: bool):
    begin, end = instant(board["time"]["from"]), instant(board["time"]["to"])
    variables = {}
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            queries = [(f"variable `{variable['name']}`", "table", variable["query"]), *queries]
    for place, form, sql in queries:
        try:
            ready = expand(sql, begin, end, variables)
            with connection.cursor() as cursor:
                rows = cursor.execute(ready.encode()).fetchall()
                columns = [column.name for column in cursor.description]
        except Exception as error:  # Whatever it is, it is a finding of this panel.
            yield f"{place}: {str(error).strip()}\n{sql}"
            continue
        if place.startswith("variable"):
            variables[place.split("`")[1]] = [row[0] for row in rows]
        if want_rows and not rows:
            yield f"{place}: no rows"
        if form == "time_series":
            yield from series(place, columns, rows)


def series(place: str, columns: list[str], rows: list[tuple]):
    """What Grafana wants of a time series: a `time`, in order, and numbers beside the names."""
    if columns[0] != "time":
        yield f"{place}: the first column is `{columns[0]}`, not `time`"
        return
    times = [row[0] for row in rows]
    if any(not isinstance(time, (datetime, int, float)) for time in times):
        yield f"{place}: `time` is no time"
    elif times != sorted(times):
        yield f"{place}: not in the order of `time`"
    for column, name in enumerate(columns[1:], 1):
        if name != "metric" and any(isinstance(row[column], str) for row in rows):
            yield f"{place}: `{name}` is text"


def instant(text: str) -> datetime:
    """An end of a dashboard's time range."""
    if text.startswith("now"):
        match = re.fullmatch(r"now(?:-(\d+)([smhd]))?", text)
        unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", None: "seconds"}[match[2]]
        return datetime.now(timezone.utc) - timedelta(**{unit: int(match[1] or 0)})
    return datetime.fromisoformat(text).astimezone(timezone.utc)


def expand(sql: str, begin: datetime, end: datetime, variables: dict[str, list]) -> str:
    """The SQL with Grafana's macros for PostgreSQL and the dashboard's variables replaced."""
    step = max(1, round((end - begin).total_seconds() / 1000))
    text = lambda time: time.strftime("'%Y-%m-%dT%H:%M:%SZ'")
    seconds = lambda interval: sum(int(n) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[u] for n, u in re.findall(r"(\d+)([smhd])", interval))
    # A macro's argument may be one of these.
    for name, value in {"$__interval_ms": str(step * 1000), "$__interval": f"{step}s"}.items():
        sql = sql.replace(name, value)

    def macro(match: re.Match) -> str:
        name, given = match[1], [part.strip() for part in match[2].split(",")] if match[2] else []
        match name:
            case "timeFilter":
                return f"{given[0]} BETWEEN {text(begin)} AND {text(end)}"
            case "timeFrom":
                return text(begin)
            case "timeTo":
                return text(end)
            case "timeGroup" | "timeGroupAlias":
                every = seconds(given[1].strip("'"))
                group = f"floor(extract(epoch from {given[0]})/{every})*{every}"
                return group + (' AS "time"' if name.endswith("Alias") else "")
        raise ValueError(f"no macro `$__{name}` is known here")

    sql = re.sub(r"\$__(\w+)\(([^)]*)\)", macro, sql)
    for name, values in variables.items():
        quoted = ",".join("'" + str(value).replace("'", "''") + "'" for value in values) or "''"
        sql = re.sub(rf"\$\{{{name}(?::\w+)?\}}|\${name}\b", lambda _: quoted, sql)
    if left := re.search(r"\$\{?\w+", sql):
        raise ValueError(f"`{left[0]}` is no macro or variable of the dashboard")
    return sql


if __name__ == "__main__":
    sys.exit(main())
