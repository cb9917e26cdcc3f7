"""Random tables, and cases: files with what is in them, to be sent to the test.

A case is a list of fields, each a length of four bytes and so many bytes; a list is its count and its fields. Nothing in a field can be
misread: the length 0xffffffff is NULL. `writers.rs` reads them in the same order.
"""

import datetime
import decimal
import struct
import sys

NULL = 0xFFFFFFFF
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1)
PARTS = ["a", "Pune", " ", "x y", ",", ";", "\t", "|", '"', '""', "\n", "\r\n", "\r", "é", "😀", "\\", "'", "#", "007", "1.5", "-", "NULL",
         "\\N", "sep=", "NaN", "{}", "[1]", "true", "2026-01-05", "\u2028", "\ufeff", "\x1f", "日本"]
PLAIN = ["a", "Pune", " ", "x y", "é", "007", "1.5", "-", "NULL", "{}", "true", "#", "日本"]
ODD = ["007", "+1", "1E5", "-0", "abc", "1" * 41, " 1", "2026-02-30", "0x1", "N/A", "1_000", "1,5", "١"]


class Column:
    """A name, a kind, and values: None, bool, int, float, Decimal, str, date or datetime."""

    def __init__(self, name, kind, values):
        self.name, self.kind, self.values = name, kind, values


def text(rng, parts=PARTS):
    return "".join(rng.choice(parts) for _ in range(rng.randint(0 if rng.random() < 0.1 else 1, 4)))


def day(rng, first=1, last=9999):
    return datetime.date(rng.randint(first, last), rng.randint(1, 12), rng.randint(1, 28))


def value(rng, kind, scale, since=1700):
    if kind == "int":
        return rng.getrandbits(64) - (1 << 63) >> rng.randint(0, 63)
    if kind == "wide":
        return rng.randint(-10**37, 10**37) // 10 ** rng.randint(0, 30)
    if kind == "decimal":
        return decimal.Decimal(rng.randint(-10**15, 10**15) // 10 ** rng.randint(0, 14)).scaleb(-scale)
    if kind == "float":
        return rng.choice([rng.uniform(-1e6, 1e6), rng.gauss(0, 1e-5), round(rng.uniform(-100, 100), 2), 1e300, -0.0, 1e16, 5e-324, 100.0])
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "date":
        return day(rng)
    if kind in ("local", "zoned"):
        at = datetime.datetime.combine(day(rng, since, 2250), datetime.time(rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59)))
        at += datetime.timedelta(microseconds=0 if scale < 1 else rng.randint(0, 999_999) // 10 ** (6 - min(scale, 6)) * 10 ** (6 - min(scale, 6)))
        return at.replace(tzinfo=UTC) if kind == "zoned" else at
    return text(rng, PLAIN if kind == "plain" else PARTS)


def table(rng, kinds=("int", "wide", "decimal", "float", "bool", "date", "local", "zoned", "text", "text", "text", "plain")):
    """Columns of equally many values, in a column of text sometimes nothing but numbers and one cell that is none."""
    rows, since = rng.randint(300, 2000) if rng.random() < 0.02 else rng.randint(0, 25), rng.choice([1700, 1972])
    columns = []
    for at in range(rng.randint(1, 6)):
        kind, scale, empty = rng.choice(kinds), rng.choice([0, 2, 3, 6]), rng.choice([0, 0.1, 0.5])
        values = [None if rng.random() < empty else value(rng, kind, scale, since) for _ in range(rows)]
        if kind in ("text", "plain") and rows and rng.random() < 0.4:
            values = [None if cell is None else str(rng.randint(0, 99999)) for cell in values]
            values[rng.randrange(rows)] = rng.choice(ODD)
        columns.append(Column(rng.choice(["c", "a name ", "ü", 'x"y', "p\nq", "a;b", "a,b"]) + str(at), kind, values))
    return columns


def instant(at):
    """Nanoseconds since 1970, of the clock on the wall where no zone is known."""
    at = at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)
    return (at - EPOCH) // datetime.timedelta(microseconds=1) * 1000


def cell(value, spell=str):
    """What a cell is: `t` and its characters, `f` and a float, `i` and nanoseconds; None is NULL. `spell` writes what a writer chooses."""
    if value is None:
        return None
    if isinstance(value, float):
        return "f" + repr(value)
    if isinstance(value, datetime.datetime):
        return "i" + str(instant(value))
    if isinstance(value, bool):
        return "t" + spell(value)
    if isinstance(value, decimal.Decimal):
        return "t" + format(value, "f")
    return "t" + str(value)


def field(value):
    if value is None:
        return struct.pack("<I", NULL)
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<I", len(value)) + value


def fields(values):
    return struct.pack("<I", len(values)) + b"".join(map(field, values))


def send(*items):
    """Sends a case: a field for each item, or a list."""
    sys.stdout.buffer.write(b"".join(fields(item) if isinstance(item, list) else field(item) for item in items))
