"""Writers of JSON: Python's `json`, pandas, polars and DuckDB write random records, one a line or as a list.

    python objects.py FIRST COUNT

Sends cases (see `cases.py`): name, bytes, what a refusal must say or nothing, names of columns, cells row by row. A cell is JSON itself in
which a number is its digits behind `#`, and a text is its characters behind `"`, so that no number is read on the way.
"""

import datetime
import decimal
import json
import pathlib
import random
import sys
import tempfile

import polars

import cases
import delimited

LONE = "\ud800"


def nested(rng, depth=0):
    kind = rng.randint(0, 7 if depth < 3 else 4)
    if kind < 5:
        return cases.value(rng, ["int", "float", "bool", "text", "plain"][kind], 0) if rng.random() < 0.9 else None
    if kind == 5:
        return [nested(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {rng.choice(["a", "b", "ü", "x y", 'q"'][:3 + depth]): nested(rng, depth + 1) for _ in range(rng.randint(0, 3))}


def records(columns):
    return [{column.name: value for column, value in zip(columns, row)} for row in zip(*[column.values for column in columns])]


def python_json(rng, columns):
    for column in columns:
        if column.kind in ("decimal", "date", "local", "zoned"):
            column.values = [value if value is None else str(value) for value in column.values]
        elif column.kind == "text" and rng.random() < 0.5:
            column.values = [nested(rng) for _ in column.values]
    rows = records(columns)
    if rng.random() < 0.3:
        # What has no value is left out.
        rows = [{name: value for name, value in row.items() if value is not None} for row in rows]
    needs = ""
    if rows and rng.random() < 0.06:
        odd = rng.choice([(float("nan"), "NaN and Infinity are no JSON"), (float("-inf"), "NaN and Infinity are no JSON"), (LONE, "surrogate pair")])
        rows[rng.randrange(len(rows))][columns[0].name], needs = odd
    ascii_only, indent = bool(needs) or rng.random() < 0.5, rng.choice([None, None, 1, "\t"])
    if rng.random() < 0.4:
        return json.dumps(rows, ensure_ascii=ascii_only, indent=indent), needs
    end = rng.choice(["\n", "\r\n", "\n\n", ""])
    return "".join(json.dumps(row, ensure_ascii=ascii_only, separators=rng.choice([None, (",", ":")])) + end for row in rows), needs


def pandas_json(rng, columns):
    columns[:] = [column for column in columns if column.kind not in ("decimal", "wide")]
    frame = delimited.pandas.DataFrame({column.name: delimited.pandas_series(rng, column) for column in columns})
    lines = rng.random() < 0.6
    return frame.to_json(orient="records", lines=lines, date_format="iso", double_precision=15, force_ascii=rng.random() < 0.5,
                         indent=None if lines else rng.choice([0, 2])), ""


def polars_json(rng, columns):
    columns[:] = [column for column in columns if column.kind not in ("decimal", "wide")]
    frame = delimited.polars_frame(rng, columns)
    return (frame.write_ndjson() if rng.random() < 0.6 else frame.write_json()), ""


def duckdb_json(rng, columns):
    delimited.duckdb_table(columns)
    with tempfile.TemporaryDirectory() as folder:
        delimited.DATABASE.execute(f"COPY t TO '{folder}/t' (FORMAT json, ARRAY {rng.random() < 0.4})")
        return pathlib.Path(folder, "t").read_bytes().decode(), ""


def marked(value):
    """A value that `json` has read with its numbers as texts behind `#`; its own texts get a quote before them."""
    if isinstance(value, Number):
        return "#" + value.digits
    if isinstance(value, str):
        return '"' + value
    if isinstance(value, list):
        return [marked(each) for each in value]
    if isinstance(value, dict):
        return {name: marked(each) for name, each in value.items()}
    return value


class Number:
    def __init__(self, digits):
        self.digits = digits


def parsed(text):
    """The records by Python's own reader, whose word on JSON is the standard's."""
    decoder, rows, at = json.JSONDecoder(parse_int=Number, parse_float=Number), [], 0
    while True:
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n"))
        if at == len(text):
            return rows
        found, at = decoder.raw_decode(text, at)
        rows.extend(found if isinstance(found, list) else [found])


def is_same(value, read):
    """Whether the reader read what was given to the writer, as far as JSON says it."""
    if isinstance(read, Number):
        if isinstance(value, float):
            return abs(value - float(read.digits)) <= abs(value) * 1e-14 + 5e-16
        return not isinstance(value, str) and decimal.Decimal(read.digits) == decimal.Decimal(value)
    if isinstance(value, dict):
        return isinstance(read, dict) and all(is_same(value.get(name), read.get(name)) for name in {*value, *read})
    if isinstance(value, list):
        return isinstance(read, list) and len(value) == len(read) and all(map(is_same, value, read))
    if isinstance(value, (datetime.date, decimal.Decimal)):
        return isinstance(read, str)
    # pandas writes what no decimal of so many digits is as null.
    return value == read or isinstance(value, float) and read is None


def case(seed):
    rng = random.Random(seed)
    writer = rng.choice([python_json, pandas_json, polars_json, duckdb_json])
    columns = cases.table(rng)
    text, needs = writer(rng, columns)
    names, cells = [], []
    if not needs:
        rows = parsed(text)
        given = records(columns)
        assert len(rows) == len(given) or not columns, (seed, writer.__name__, len(given), text)
        for row, wanted in zip(rows, given):
            assert all(is_same(wanted[name], row.get(name)) for name in wanted), (seed, wanted, text)
        names = list(dict.fromkeys(name for row in rows for name in row))
        cells = [None if row.get(name) is None else json.dumps(marked(row[name])) for row in rows for name in names]
    mark = "\ufeff" if rng.random() < 0.1 else ""
    data = (mark + text).encode()
    if not needs and len(text) > 8 and rng.random() < 0.05:
        name, option = rng.choice([("utf-16", "utf-16"), ("utf-16-le", "utf-16"), ("utf-16-be", "utf-16be")])
        data, needs = text.encode(name), f"OPTIONS (encoding '{option}')"
    cases.send(f"{seed}-{writer.__name__}.json", data, needs, names, cells)


def main():
    first, count = int(sys.argv[1]), int(sys.argv[2])
    for seed in range(first, first + count):
        case(seed)


main()
