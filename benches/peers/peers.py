"""Profiles of a Parquet file to upload bodies of 1000 records, the ways that people write it; prints ns a row, the best of five.

The frame is made ready outside of the times: dates are already `$D_` texts, decimals floats, lists `{"$set": [...]}`, as a
careful script has them. pyarrow's way starts from the table as it was read and includes its dates."""

import json
import sys
import time

import orjson
import pandas
import pyarrow.parquet

path, rows_path = sys.argv[1], sys.argv[2]
table = pyarrow.parquet.read_table(path)
rows = table.num_rows


def date(seconds):
    zero = "0" if 10_000_000 <= seconds < 100_000_000 else ""
    return f"$D_{zero}{seconds}"


EPOCH = pandas.Timestamp(0).date()


def prepared(row):
    """One row as upload wants it; NULL is left out."""
    data = {}
    for name, value in row.items():
        if value is None or name == "identity":
            continue
        if name == "DOB":
            value = date((value - EPOCH).days * 86_400 - 19_800)
        elif name == "LastSeen":
            value = date(int(value.timestamp() // 1))
        elif name == "Balance":
            value = float(value)
        elif name == "Tags":
            value = {"$set": value}
        data[name] = value
    return {"type": "profile", "identity": row["identity"], "profileData": data}


def bodies(records, encode):
    return sum(len(encode({"d": records[start : start + 1000]})) for start in range(0, len(records), 1000))


def measure(name, way, times=5):
    best = min(timed(way) for _ in range(times))
    print(f"{name:44} {best * 1e9 / rows:10.0f} ns/row")


def timed(way):
    begun = time.perf_counter()
    way()
    return time.perf_counter() - begun


ready = [prepared(row) for row in table.to_pylist()]
frame = pandas.DataFrame({"identity": [record["identity"] for record in ready]} | {
    name: [record["profileData"].get(name) for record in ready] for name in table.column_names if name != "identity"
}).astype(object)


def from_frame(encode):
    def record(row):
        identity = row.pop("identity")
        return {"type": "profile", "identity": identity, "profileData": {k: v for k, v in row.items() if v is not None}}

    return bodies([record(row) for row in frame.to_dict("records")], encode)


measure("pandas to_dict + json.dumps, frame ready", lambda: from_frame(lambda body: json.dumps(body, separators=(",", ":"))))
measure("pandas to_dict + orjson, frame ready", lambda: from_frame(orjson.dumps))
measure("pyarrow to_pylist + orjson, dates included", lambda: bodies([prepared(row) for row in table.to_pylist()], orjson.dumps))
with open(rows_path, "w", encoding="utf-8") as file:
    json.dump([{"identity": record["identity"], **record["profileData"]} for record in ready], file)
