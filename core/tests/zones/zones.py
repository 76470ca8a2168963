"""Instants near the moments at which zones change their clocks, and what becomes of them.

    python3 zones.py python SEED COUNT          what Python's zoneinfo makes of them
    python3 zones.py postgres URL SEED COUNT    the same from PostgreSQL, for postgres.txt

A line per case: zone, instant, what is done, with what, result. Instants are seconds since the epoch; an interval is
months, days and seconds. Neither knows anything of Dovetail, nor of the library that Dovetail takes zones from.
"""

import calendar
import random
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FROM, TO = -2_000_000_000, 2_145_000_000
UNITS = ["second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade"]


def offset(zone, instant):
    return int((EPOCH + timedelta(seconds=instant)).astimezone(zone).utcoffset().total_seconds())


def change_after(zone, instant):
    """The first second with another offset, looked for in the two years that follow."""
    low, step = instant, 86_400 * 7
    before = offset(zone, low)
    while offset(zone, low + step) == before:
        low += step
        if low > instant + 86_400 * 730:
            return None
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        if offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


def cases(seed, count):
    made = random.Random(seed)
    # Names that are no places have no clocks that change; those of the machine are not the same everywhere.
    names = sorted(n for n in available_timezones() if "/" in n and not n.startswith(("Etc/", "SystemV/", "US/Pacific-New")))
    while count:
        name = made.choice(names)
        zone = ZoneInfo(name)
        change = change_after(zone, made.randint(FROM, TO))
        if change is None or change > TO:
            continue
        for _ in range(4):
            instant = change + made.choice([-1, 0, 1, made.randint(-7200, 7200), made.randint(-100_000, 100_000)])
            kind = made.choice(["trunc", "plus", "bin"])
            if kind == "trunc":
                what = made.choice(UNITS)
            elif kind == "bin":
                what = str(made.choice([900, 3600, 21_600, 86_400, 7 * 86_400]))
            else:
                # Into the change from a day, or a month, before or behind it.
                days = made.choice([-1, 1, 0, made.randint(-40, 40)])
                months = made.choice([0, 0, 1, -1, made.randint(-30, 30)])
                seconds = made.choice([0, 0, made.randint(-100_000, 100_000)])
                instant -= days * 86_400
                what = f"{months} {days} {seconds}"
            yield name, instant, kind, what
            count -= 1
            if not count:
                return


def of_local(zone, local):
    """A local time that comes twice is the later one, one that never comes is read with the offset before."""
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    ahead = second if first.utcoffset() > second.utcoffset() else first
    return local.replace(tzinfo=UTC) - ahead.utcoffset()


def truncated(zone, moment, unit):
    local = moment.astimezone(zone)
    ahead, local = local.utcoffset(), local.replace(tzinfo=None)
    if unit in ("second", "minute", "hour"):
        zeros = {"second": {}, "minute": {"second": 0}, "hour": {"minute": 0, "second": 0}}[unit]
        return (local.replace(**zeros) - ahead).replace(tzinfo=UTC)
    day = local.replace(hour=0, minute=0, second=0)
    if unit == "week":
        day -= timedelta(days=day.weekday())
    elif unit == "month":
        day = day.replace(day=1)
    elif unit == "quarter":
        day = day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1)
    elif unit == "year":
        day = day.replace(day=1, month=1)
    elif unit == "decade":
        day = day.replace(day=1, month=1, year=day.year // 10 * 10)
    return of_local(zone, day)


def moved(zone, moment, what):
    months, days, seconds = map(int, what.split())
    if months:
        local = moment.astimezone(zone).replace(tzinfo=None)
        year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
        day = min(local.day, calendar.monthrange(year, month + 1)[1])
        moment = of_local(zone, local.replace(year=year, month=month + 1, day=day))
    if days:
        local = moment.astimezone(zone).replace(tzinfo=None) + timedelta(days=days)
        moment = of_local(zone, local)
    return moment + timedelta(seconds=seconds)


def binned(zone, moment, stride):
    """Bins of local time since 1970-01-01; PostgreSQL has none of these. A bin that is no longer than what the clocks
    go back has a start in each half."""
    local = moment.astimezone(zone)
    ahead, local = local.utcoffset(), local.replace(tzinfo=None)
    start = local - timedelta(seconds=int((local - datetime(1970, 1, 1)).total_seconds()) % stride)
    found = of_local(zone, start)
    same = (start - ahead).replace(tzinfo=UTC)
    repeated = abs(ahead - found.astimezone(zone).utcoffset()).total_seconds()
    in_first_half = same <= moment and same.astimezone(zone).utcoffset() == ahead and found > moment
    return same if in_first_half and stride <= repeated else found


def seconds(moment):
    return round((moment - EPOCH).total_seconds())


def with_python(seed, count):
    for name, instant, kind, what in cases(seed, count):
        zone, moment = ZoneInfo(name), EPOCH + timedelta(seconds=instant)
        act = {"trunc": truncated, "plus": moved, "bin": lambda z, m, w: binned(z, m, int(w))}[kind]
        print(f"{name}|{instant}|{kind}|{what}|{seconds(act(zone, moment, what))}")


def with_postgres(url, seed, count):
    script, asked = [], []
    for name, instant, kind, what in cases(seed, count):
        if kind == "bin":
            continue
        t = f"to_timestamp({instant})"
        if kind == "trunc":
            value = f"date_trunc('{what}', {t})"
        else:
            months, days, rest = what.split()
            value = f"{t} + make_interval(months => {months}, days => {days}, secs => {rest})"
        script.append(f"SET timezone = '{name}'; SELECT extract(epoch FROM {value})::bigint;")
        asked.append((name, instant, kind, what))
    answers = subprocess.run(["psql", url, "-qAtX"], input="\n".join(script), capture_output=True, text=True, check=True)
    for case, answer in zip(asked, answers.stdout.split(), strict=True):
        print("|".join(map(str, case)) + f"|{answer}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["python", seed, count]:
            with_python(int(seed), int(count))
        case ["postgres", url, seed, count]:
            with_postgres(url, int(seed), int(count))
        case _:
            sys.exit(__doc__)
