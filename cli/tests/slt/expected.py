"""Works out what the .slt files expect, from the generated records alone and with nothing of the engine's.

    cargo test -p dovetail --test system answers     # leaves the records in the target folder
    python3 expected.py TARGET_FOLDER/tmp

prints a block per label, in the order of the files; a query stands below its label.
"""

import json
import sys
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import mean
from zoneinfo import ZoneInfo

HERE = Path(__file__).parent
NEW_YORK, VIENNA = ZoneInfo("America/New_York"), ZoneInfo("Europe/Vienna")
HOUR = timedelta(hours=1)


def records(folder, pipeline, number):
    """The records that decode, and the lines that do not."""
    good, bad = [], []
    for line in (folder / f"slt-{pipeline}" / "all.ndjson").read_bytes().split(b"\n"):
        try:
            record = json.loads(line)
            float(record.get(number) or 0)
            good.append(record)
        except (ValueError, AttributeError):
            bad.append(line)
    return good, bad


def lookup(pipeline, name):
    lines = (HERE / "../../../data" / pipeline / name).read_text().splitlines()
    return [line.split(",") for line in lines[1:]]


def show(label, rows):
    def text(value):
        match value:
            case None:
                return "NULL"
            case bool():
                return str(value).lower()
            case float():
                return f"{value:.3f}"
            case datetime():
                seconds, zone = value.isoformat(timespec="milliseconds")[:23], value.isoformat(timespec="minutes")[16:]
                return seconds.rstrip("0").rstrip(".") + zone if value.microsecond else value.isoformat()
            case _:
                return str(value)

    print(f"# {label}")
    for row in rows:
        print(" ".join(text(value) for value in (row if isinstance(row, tuple) else (row,))))
    print()


def ranked(counter, limit=None):
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:limit]


def floor_hour(time, zone):
    return time.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0).astimezone(zone)


def nyc311(folder):
    good, bad = records(folder, "nyc311", "latitude")
    names = dict(lookup("nyc311", "agencies.csv"))

    def local(text):
        # A time that comes twice is the earlier of the two: fold 0.
        return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)

    for r in good:
        r["created"] = local(r["created_date"])
        r["closed"] = local(r["closed_date"]) if "closed_date" in r else None
    by_agency = defaultdict(list)
    for r in good:
        by_agency[r["agency"]].append(r)
    stock = []
    for agency, rs in sorted(by_agency.items()):
        still = [r["created"] for r in rs if r["closed"] is None]
        stock.append((agency, len(rs), len(still), min(still, key=datetime.timestamp, default=None)))
    show("stock", stock)
    show("stock of one", [row for row in stock if row[0] == "NYPD"])
    show("all of all", [(sum(row[1] for row in stock), sum(row[2] for row in stock))])
    show("boroughs", sorted(Counter(r["borough"] for r in good).items()))
    days = Counter(r["created"].replace(hour=0, minute=0, second=0) for r in good)
    show("days", sorted(days.items()))
    night = datetime(2026, 11, 1, tzinfo=NEW_YORK)
    of_night = [r for r in good if r["created"].date() == night.date()]
    show("the day of 25 hours", ranked(Counter(r["borough"] for r in of_night), 3))
    bronx = Counter(r["complaint_type"] for r in good if r["borough"] == "BRONX")
    show("commonest of a borough", ranked(bronx, 5))
    show("second page", ranked(bronx)[2:4])
    show("types of which there are many", [row for row in ranked(Counter(r["complaint_type"] for r in good)) if row[1] >= 200])
    windows = Counter()
    for r in good:
        start = floor_hour(r["created"], timezone.utc)
        for back in range(3):
            windows[r["borough"], start - back * HOUR] += 1
    by_start = Counter()
    for (_, start), n in windows.items():
        by_start[start] += n
    change = datetime(2026, 11, 1, 3, tzinfo=timezone.utc)
    rows = [(s, s + 3 * HOUR, n) for s, n in sorted(by_start.items()) if change <= s <= change + 5 * HOUR]
    show("windows", [(a.astimezone(NEW_YORK), b.astimezone(NEW_YORK), n) for a, b, n in rows])
    best = {}
    for (borough, start), n in sorted(windows.items(), key=lambda item: (-item[1], item[0][1])):
        best.setdefault(borough, (borough, start.astimezone(NEW_YORK), n))
    show("busiest", sorted(best.values()))
    # Differences of datetimes of one zone are those of its clocks; of timestamps, of time.
    closes = defaultdict(list)
    for r in good:
        if r["closed"] and r["closed"].timestamp() >= r["created"].timestamp():
            closes[r["agency"]].append((r["closed"].timestamp() - r["created"].timestamp()) / 3600)
    show("time to close", [(a, names.get(a), len(h), mean(h)) for a, h in sorted(closes.items())])
    near = [(a, sorted(h)) for a, h in sorted(closes.items()) if len(h) >= 100]
    show("medians", [(a, h[int(0.45 * len(h))], h[int(0.55 * len(h))]) for a, h in near])
    gone = len(good) - sum(row[2] for row in stock) - sum(map(len, closes.values()))
    show("closed before", [(len(stock), gone)])
    show("open by name", sorted(((names[a], n) for a, _, n, _ in stock), key=lambda row: (-row[1], row[0]))[:3])
    show("slow", [(a, n, len(closes[a]), mean(closes[a])) for a, _, n, _ in stock if mean(closes[a]) > 24])
    types = defaultdict(set)
    for r in good:
        types[r["borough"]].add(r["complaint_type"])
    totals = Counter(r["borough"] for r in good)
    show("totals", [(b, totals[b], len(types[b])) for b in sorted(totals)])
    shares = [(a, n, round(100 * n / total, 1)) for a, total, n, _ in stock if n > 20]
    show("shares", sorted(shares, key=lambda row: (-row[1], row[0])))
    show("lines", [(len(good) + len(bad), len(good), len(bad))])
    words = sum(b'"latitude":"abc"' in line for line in bad)
    show("words for numbers", [(words,)])


def clicks(folder):
    good, bad = records(folder, "clicks", "ms")
    countries = {code: (name, continent) for code, name, continent in lookup("clicks", "countries.csv")}
    for r in good:
        r["at"] = datetime.fromisoformat(r["ts"])
    minutes = defaultdict(list)
    for r in good:
        minutes[r["at"].replace(second=0, microsecond=0, tzinfo=None), r.get("country")].append(r.get("ms"))

    def five(answers):
        known = [ms for ms in answers if ms is not None]
        return (len(answers), sum(known), mean(known), min(known), max(known)) if known else (len(answers), *[None] * 4)

    midnight = datetime(2026, 3, 1)
    show("a minute", [(c, *five(minutes[midnight, c])) for c in ["AT", "DE", "US"]])
    show("a minute without a country", [(midnight, *five(minutes[midnight, None]))])
    show("minutes", [
        (m, sum(len(v) for (n, _), v in minutes.items() if n == m)) for m in sorted({m for m, _ in minutes})[-4:]])
    by_country = defaultdict(list)
    for r in good:
        by_country[r.get("country")].append(r.get("ms"))
    rows = [(c, len(v), sum(ms or 0 for ms in v), max(ms or 0 for ms in v)) for c, v in by_country.items()]
    show("countries", sorted(rows, key=lambda row: (-row[1], str(row[0])))[:5])
    show("no country", [row for row in rows if row[0] is None])
    users = defaultdict(list)
    for r in good:
        users[r["user_id"]].append(r)

    def user(number):
        of = users[number]
        return (number, len(of), max(r["at"] for r in of).replace(tzinfo=None), sum(r.get("ms") or 0 for r in of))

    show("a user", [user(71271)])
    show("users by number", [user(number) for number in sorted(users)[:3]])
    show("users", [(len(users), sum(map(len, users.values())))])
    loyal = sorted(((n, len(of)) for n, of in users.items() if len(of) > 10), key=lambda row: (-row[1], row[0]))
    show("loyal", [(n, clicks, place) for place, (n, clicks) in enumerate(loyal, 1)])
    show("clicks of users", sorted(Counter(len(of) for of in users.values()).items()))
    pages = defaultdict(list)
    for r in good:
        pages[r["page"]].append(r)
    common = sorted(pages, key=lambda page: (-len(pages[page]), page))[:4]
    show("users of pages", [(page, len({r["user_id"] for r in pages[page]})) for page in sorted(common)])
    products = {int(page[3:]): rs for page, rs in pages.items() if page.startswith("/p/")}
    show("products", [(p, len(rs)) for p, rs in sorted(products.items(), key=lambda item: (-len(item[1]), item[0]))[:4]])
    show("sessions of a product", [(len(products), sum(map(len, products.values())))])
    continents = defaultdict(list)
    for r in good:
        country = r.get("country")
        continents[countries[country][1] if country else "unknown"].append(r)
    show("continents", sorted((c, len(rs)) for c, rs in continents.items()))
    hour = [r for r in good if r["at"].replace(tzinfo=None) >= midnight]
    of_hour = Counter(countries[r["country"]][1] if r.get("country") else "unknown" for r in hour)
    show("an hour", [(c, n, round(100 * n / len(hour), 1)) for c, n in ranked(of_hour)])
    named = Counter(countries[r["country"]][0] for r in good if r.get("country"))
    show("a name that is not ascii", [("Türkiye", named["Türkiye"])])
    show("lines", [(len(good) + len(bad), len(good), len(bad))])


def weather(folder):
    good, bad = records(folder, "weather", "tempCurrent")
    countries = {int(number): country for number, _, country, _, _ in lookup("weather", "cities.csv")}
    hours = defaultdict(list)
    for r in good:
        r["at"] = datetime.fromisoformat(r["timeStamp"])
        hours[r["city"], floor_hour(r["at"], timezone.utc)].append(r["tempCurrent"])

    def of(city, start):
        temps = hours[city, start]
        return (city, start.astimezone(VIENNA), len(temps), float(min(temps)), float(max(temps)), mean(temps))

    start = datetime(2026, 10, 24, 22, tzinfo=timezone.utc)
    show("a night of 25 hours", [of("Graz", start + n * HOUR)[1:] for n in range(5) if ("Graz", start + n * HOUR) in hours])
    show("names that are not ascii", [of(city, start + 2 * HOUR) for city in ["Alcalá de Henares", "Šiauliai"]])
    show("one hour", [of("Kraków", start + 2 * HOUR)])
    show("readings", sorted((c, sum(len(t) for (d, _), t in hours.items() if c == d)) for c in {c for c, _ in hours}))
    days = Counter(r["at"].astimezone(VIENNA).date() for r in good)
    show("days", [(datetime(d.year, d.month, d.day, tzinfo=VIENNA), n) for d, n in sorted(days.items())])
    latest = {}
    for r in good:
        if r["city"] not in latest or r["at"] >= latest[r["city"]]["at"]:
            latest[r["city"]] = r
    rows = [(c, countries[r["cityId"]], r["at"].astimezone(VIENNA), float(r["tempCurrent"])) for c, r in latest.items()]
    show("latest", sorted(rows, key=lambda row: row[0].encode()))
    show("warmest", [(c, t) for c, _, _, t in sorted(rows, key=lambda row: -row[3])[:3]])
    coldest = {}
    for (city, hour), temps in sorted(hours.items(), key=lambda item: (min(item[1]), item[0][1])):
        coldest.setdefault(city, (city, hour.astimezone(VIENNA), float(min(temps))))
    show("coldest hours", sorted(coldest.values(), key=lambda row: (row[2], row[0]))[:4])
    show("lines", [(len(good) + len(bad), len(good), len(bad))])


if __name__ == "__main__":
    for pipeline in [nyc311, clicks, weather]:
        print(f"## {pipeline.__name__}\n")
        pipeline(Path(sys.argv[1]))
