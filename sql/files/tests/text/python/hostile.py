"""Hostile files, and what DuckDB makes of their structure.

    python hostile.py FIRST COUNT

Sends cases (see `cases.py`): name, bytes, separator, quote, header or not, why DuckDB refuses the file or nothing, names of columns, cells
row by row.
"""

import random
import sys
import tempfile

import duckdb

import cases

CELLS = ["1", "a", "", " ", "x y", "é", '""', '"q"', '"a""b"', '"a,b"', '"a;b"', '"l\nm"', '"l\r\nm"', '"l\rm"', '"\n\n"', '" "', "'s'", "#",
         "\\", '"\\"', "2026-01-05", "007", "-", "NULL", "sep=", '"x" ', ' "x"', 'a"b', 'a"', '"a"b', '"', '"a', '""""', '"a"""', "\0",
         "\ufeff", "a;b", "a|b", "a\tb"]
PROPER = [cell for cell in CELLS if cell not in ('"x" ', 'a"b', 'a"', '"a"b', '"', '"a', "\0")]


def hostile(rng):
    delimiter, quote, header = rng.choice(",;\t|"), rng.choice('""""\'`'), rng.random() < 0.75
    columns, rows, end = rng.randint(1, 4), rng.randint(0 if header else 1, 7), rng.choice(["\n", "\n", "\r\n", "\r"])
    odd = rng.random()
    pool = CELLS if odd < 0.4 else PROPER
    # A first line `sep=,` is Excel's.
    pool = pool if header else [cell for cell in pool if cell != "sep="]
    names = delimiter.join(f"c{at}" for at in range(columns))
    lines = [names] if header else []
    for _ in range(rows):
        count = columns if rng.random() < 0.97 else max(1, columns + rng.choice([-1, 1]))
        cells = [rng.choice(pool) if rng.random() < 0.7 else rng.choice(["a", "1", "b c"]) for _ in range(count)]
        lines.append(delimiter.join(cells).replace(",", delimiter) if rng.random() < 0.2 else delimiter.join(cells))
        if rng.random() < 0.05:
            lines.append("")
    ends = [rng.choice(["\n", "\r\n", "\r"]) if odd > 0.95 else end for _ in lines]
    if ends and rng.random() < 0.3:
        ends[-1] = ""
    data = "".join(line + end for line, end in zip(lines, ends)).replace('"', quote).encode()
    if 0.4 < odd < 0.5 and rows:
        # Damage behind the names.
        first = len(names) + 1 if header else 0
        at = rng.randrange(first, max(len(data), first + 1))
        data = data[:at] + rng.choice([quote.encode(), b"\n", b"\r", delimiter.encode(), b"\xff", b""]) + data[at + rng.randint(0, 2):]
    return (b"\xef\xbb\xbf" if rng.random() < 0.05 else b"") + data, delimiter, quote, header


def main():
    first, count = int(sys.argv[1]), int(sys.argv[2])
    database = duckdb.connect()
    database.execute("SET threads = 1")
    for seed in range(first, first + count):
        data, delimiter, quote, header = hostile(random.Random(seed))
        mark = quote.replace("'", "''")
        with tempfile.NamedTemporaryFile(suffix=".csv") as file:
            file.write(data)
            file.flush()
            try:
                read = database.execute(f"""SELECT * FROM read_csv('{file.name}', delim = '{delimiter}', quote = '{mark}', escape = '{mark}',
                    header = {header}, all_varchar = true, sample_size = -1, strict_mode = true, null_padding = false, skip = 0, comment = '')""")
                names, rows, why = [column[0] for column in read.description], read.fetchall(), ""
            except (duckdb.Error, UnicodeDecodeError) as error:
                names, rows, why = [], [], str(error).split("\n")[0] or "refused"
        cells = [None if cell in ("", None) else cell for row in rows for cell in row]
        cases.send(str(seed), data, delimiter, quote, "yes" if header else "no", why, names, cells)


main()
