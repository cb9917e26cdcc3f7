"""Writers of delimited text: each writes the same random tables in ways of its own, chosen at random.

    python delimited.py FIRST COUNT [packed]

Sends cases (see `cases.py`): name, bytes, what a refusal must say or nothing, separator, quote, escape, marks of NULL, header or not, names
of columns, cells row by row. With `packed`, files are compressed and in other encodings, and the option that reads them stands where a
refusal is expected otherwise.
"""

import bz2
import csv
import datetime
import decimal
import gzip
import io
import lzma
import pathlib
import random
import re
import sys
import tempfile

import duckdb
import numpy
import pandas
import polars
import zstandard

import cases


class Habits:
    """What the author of a statement would say of the file."""

    def __init__(self, rng, delimiters=",;\t|"):
        self.delimiter = rng.choice(delimiters)
        self.quote, self.escape, self.null, self.header = '"', None, "", rng.random() < 0.8


def trimmed(text):
    return text.strip(" \t\r\n\x1f") if isinstance(text, str) else text


def python_escaping(rng, columns):
    """As MySQL and Hive write too: no quotes, and a backslash before all that means something."""
    return python_csv(rng, columns, csv.QUOTE_NONE, "\\")


def python_csv(rng, columns, quoting=None, escape=None):
    # Times with escaped colons are texts.
    habits = Habits(rng, ",;\t|^\x01" if escape else ",;\t|^:\x01")
    if quoting is None:
        quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE])
    habits.quote = rng.choice(['"', '"', "'", "`"])
    if rng.random() < 0.2:
        habits.escape = "\\"
    if quoting == csv.QUOTE_NONE:
        # Nothing is quoted: the author says so where there is an escape, else names a quote that is not in the file.
        habits.quote, habits.escape = "\0" if escape else "\x02", escape
    habits.null = rng.choice(["", "", "NULL", "\\N"])
    dialect = {"delimiter": habits.delimiter, "quotechar": None if quoting == csv.QUOTE_NONE else habits.quote, "quoting": quoting,
               "escapechar": habits.escape, "doublequote": habits.escape is None or rng.random() < 0.3}
    rows = [[column.name for column in columns]] if habits.header else []
    rows += [[habits.null if value is None else value for value in row] for row in zip(*[column.values for column in columns])]
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=rng.choice(["\n", "\r\n", "\r"]), **dialect).writerows(rows)
    # Before 3.13 it quotes no cell for a line end of another kind than the file's, and does not read what it wrote.
    dialect["quoting"] = csv.QUOTE_MINIMAL if quoting == csv.QUOTE_NONNUMERIC else quoting
    read = list(csv.reader(io.StringIO(out.getvalue(), newline=""), **dialect))
    if read != [[str(cell) for cell in row] for row in rows]:
        return None
    return out.getvalue(), habits, cases.cell


def spark_cell(value, habits, always):
    if value is None:
        return habits.null
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.datetime):
        zone = "Z" if value.tzinfo else ""
        return value.replace(tzinfo=None).isoformat(timespec="milliseconds") + zone
    text = repr(value) if isinstance(value, float) else str(trimmed(value))
    if not text:
        return '""'
    if always or any(mark in text for mark in (habits.delimiter, '"', "\n")) or text.startswith("#"):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text


def spark(rng, columns):
    """By its documentation and univocity's writer: a backslash before quotes and backslashes of quoted cells, blanks around texts lost."""
    habits = Habits(rng)
    habits.escape, habits.null, always = "\\", rng.choice(["", "", "null", "\\N"]), rng.random() < 0.2
    for column in columns:
        column.values = [trimmed(value) for value in column.values]
        if column.kind in ("local", "zoned"):
            column.values = [value and value.replace(microsecond=value.microsecond // 1000 * 1000) for value in column.values]
    rows = [[spark_cell(value, habits, always) for value in row] for row in zip(*[column.values for column in columns])]
    names = [[spark_cell(column.name, habits, always) for column in columns]] if habits.header else []
    lines = [habits.delimiter.join(row) or '""' for row in names + rows]
    return "".join(line + "\n" for line in lines), habits, lambda value: cases.cell(value, lambda flag: str(flag).lower())


def pandas_series(rng, column):
    values = [pandas.NA if value is None else value for value in column.values]
    if column.kind == "int":
        return pandas.Series(values, dtype="Int64" if None in column.values else "int64")
    if column.kind == "float":
        return pandas.Series([numpy.nan if value is None else value for value in column.values], dtype="float64")
    if column.kind == "bool" and rng.random() < 0.5:
        return pandas.Series(values, dtype="boolean")
    if column.kind in ("local", "zoned"):
        zone = rng.choice([None, "Asia/Kolkata", "Europe/Berlin"]) if column.kind == "zoned" else None
        dtype = "datetime64[us, UTC]" if column.kind == "zoned" else "datetime64[%s]" % rng.choice(["us", "ns"])
        series = pandas.Series([pandas.NaT if value is None else value for value in column.values], dtype=dtype)
        return series.dt.tz_convert(zone) if zone else series
    if column.kind in ("text", "plain") and rng.random() < 0.5:
        return pandas.Series(values, dtype="str")
    return pandas.Series(values, dtype="object")


def pandas_csv(rng, columns):
    habits = Habits(rng, ",;\t|~")
    habits.quote, habits.null = rng.choice(['"', '"', "'"]), rng.choice(["", "", "NULL", "NA", "\\N", "-"])
    comma = rng.random() < 0.1
    if rng.random() < 0.15:
        habits.escape = "\\"
    frame = pandas.DataFrame({column.name: pandas_series(rng, column) for column in columns})
    written = frame.to_csv(None, sep=habits.delimiter, na_rep=habits.null, header=habits.header, index=False, quotechar=habits.quote,
                           quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
                           doublequote=habits.escape is None, escapechar=habits.escape, decimal="," if comma else ".",
                           lineterminator=rng.choice(["\n", "\r\n"]))

    def cell(value):
        if comma and isinstance(value, float):
            return "t" + repr(value).replace(".", ",")
        return cases.cell(value)

    return written, habits, cell


def polars_type(rng, column):
    # It writes offsets without their seconds, which they had before there were zones.
    is_old = column.kind == "zoned" and any(value and value.year < 1972 for value in column.values)
    kinds = {"int": polars.Int64, "wide": polars.Decimal(38, 0), "float": polars.Float64, "bool": polars.Boolean, "date": polars.Date,
             "local": polars.Datetime(rng.choice(["us", "ns"])),
             "zoned": polars.Datetime("us", "UTC" if is_old else rng.choice(["UTC", "Asia/Kolkata", "Europe/Berlin"]))}
    if column.kind == "decimal":
        scales = [-value.as_tuple().exponent for value in column.values if value is not None]
        return polars.Decimal(38, scales[0] if scales else 0)
    return kinds.get(column.kind, polars.String)


def polars_frame(rng, columns):
    def values(column):
        is_wide = column.kind == "wide"
        return [decimal.Decimal(value) if is_wide and value is not None else value for value in column.values]

    return polars.DataFrame([polars.Series(column.name, values(column), dtype=polars_type(rng, column)) for column in columns])


def polars_csv(rng, columns):
    habits = Habits(rng, ",;\t|^")
    style = rng.choice(["necessary", "necessary", "always", "non_numeric", "never"])
    habits.null, habits.quote = rng.choice(["", "", "NULL", "\\N"]), rng.choice(['"', '"', "'"])
    frame = polars_frame(rng, columns)
    if style == "never":
        # Only where nothing needs a quote; the author names one that is not in the file.
        written = frame.write_csv(separator=habits.delimiter, quote_style="always", quote_char="\x02", include_header=habits.header)
        cells = re.findall("\x02([^\x02]*)\x02", written)
        if any(set(cell) & set(habits.delimiter + "\r\n") for cell in cells):
            return None
        habits.quote = "\x02"
    written = frame.write_csv(separator=habits.delimiter, quote_style=style, quote_char=habits.quote, null_value=habits.null,
                              include_header=habits.header, line_terminator=rng.choice(["\n", "\n", "\r\n"]))
    return written, habits, lambda value: cases.cell(value, lambda flag: str(flag).lower())


DATABASE = duckdb.connect()
DATABASE.execute("SET threads = 1")
TYPES = {"int": "BIGINT", "wide": "DECIMAL(38, 0)", "float": "DOUBLE", "bool": "BOOLEAN", "date": "DATE", "local": "TIMESTAMP",
         "zoned": "TIMESTAMPTZ", "text": "VARCHAR", "plain": "VARCHAR"}


def identifier(name):
    return '"' + name.replace('"', '""') + '"'


def literal(text):
    return "'" + text.replace("'", "''") + "'"


def duckdb_table(columns):
    types = []
    for column in columns:
        scales = [-value.as_tuple().exponent for value in column.values if isinstance(value, decimal.Decimal)]
        types.append(TYPES.get(column.kind) or f"DECIMAL(38, {scales[0] if scales else 0})")
    DATABASE.execute("CREATE OR REPLACE TABLE t (%s)" % ", ".join(f"{identifier(c.name)} {t}" for c, t in zip(columns, types)))
    rows = list(zip(*[column.values for column in columns]))
    casts = "(" + ", ".join(f"CAST(? AS {t})" for t in types) + ")"
    for first in range(0, len(rows), 50):
        some = rows[first:first + 50]
        values = [str(v) if isinstance(v, (decimal.Decimal, int)) and not isinstance(v, bool) else v for row in some for v in row]
        DATABASE.execute("INSERT INTO t VALUES " + ", ".join([casts] * len(some)), values)


def duckdb_csv(rng, columns):
    habits = Habits(rng, ",;\t|~")
    habits.null, habits.escape = rng.choice([("", None), ("", "\\"), ("NULL", None), ("NULL", "\\"), ("\\N", None)])
    habits.quote = rng.choice(['"', '"', "'"])
    duckdb_table(columns)
    DATABASE.execute("SET TimeZone = " + literal(rng.choice(["UTC", "Asia/Kolkata", "America/New_York"])))
    with tempfile.TemporaryDirectory() as folder:
        force = ", FORCE_QUOTE *" if rng.random() < 0.2 else ""
        DATABASE.execute(f"COPY t TO '{folder}/t' (FORMAT csv, HEADER {habits.header}, DELIMITER {literal(habits.delimiter)}, "
                         f"QUOTE {literal(habits.quote)}, ESCAPE {literal(habits.escape or habits.quote)}, NULLSTR {literal(habits.null)}{force})")
        return pathlib.Path(folder, "t").read_bytes().decode(), habits, lambda value: cases.cell(value, lambda flag: str(flag).lower())


WRITERS = [python_csv, pandas_csv, polars_csv, duckdb_csv, spark] * 4 + [python_escaping]
PACKERS = [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zstandard.compress)]


def encoded(rng, text, packed):
    """The bytes of a file, and the option without which it is refused."""
    name = rng.choice(["utf-16", "utf-16-le", "utf-16-be", "windows-1252"]) if rng.random() < (0.5 if packed else 0.08) else "utf-8"
    data = text.encode(name, "replace")
    if data.decode(name) != text or len(data) < 8 or name == "utf-8" or text.startswith("\ufeff"):
        # Without a mark of its own, a file whose first cell begins with one loses that.
        mark = "\ufeff" if rng.random() < 0.1 or text.startswith("\ufeff") else ""
        return (mark + text).encode(), ""
    if name != "windows-1252":
        return data, f"OPTIONS (encoding '{name.replace('6-', '6')}')"
    # A file that happens to be UTF-8 too is read as that.
    is_both = data.decode(errors="replace").encode() == data
    return text.encode() if is_both else data, "" if is_both else "OPTIONS (encoding 'windows-1252')"


def case(seed, packed):
    rng = random.Random(seed)
    writer = rng.choice(WRITERS)
    columns = cases.table(rng)
    try:
        written = writer(rng, columns)
    except csv.Error:
        # It has no quotes, or no escape, and would need them.
        written = None
    if written is None:
        return False
    text, habits, cell = written
    data, needs = encoded(rng, text, packed)
    ending, pack = rng.choice(PACKERS) if packed else PACKERS[0]
    is_stated = habits.delimiter not in ",;\t|" or len(columns) == 1 or rng.random() < 0.3
    names = [c.name if habits.header else f"column_{at + 1}" for at, c in enumerate(columns)]
    rows = [cell(value) for row in zip(*[c.values for c in columns]) for value in row]
    cases.send(f"{seed}-{writer.__name__}.csv{ending}", pack(data), needs, habits.delimiter if is_stated else "", habits.quote, habits.escape or "",
               [habits.null] if habits.null else [], "yes" if habits.header else "no", names, rows)
    return True


def main():
    first, count, packed = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] == ["packed"]
    seed = first
    while count:
        count -= case(seed, packed)
        seed += 1


if __name__ == "__main__":
    main()
