"""fakesnow as the ADBC driver of Snowflake needs it: `python fakesnow_adbc.py PORT`.

fakesnow 0.12.1 is written for the Python connector. The driver asks for more, and Snowflake itself answers otherwise:

1. Bulk ingest loads Parquet files from a stage whose format stands at the stage, and not in COPY.
2. It gives its files the same names each time; fakesnow leaves out what was loaded before by its name, and keeps the files of a stage that is replaced.
3. It sends requests of one session side by side, uploads among them.
4. A NULL instant is NULL as a whole, and not an instant whose parts are NULL: a client would read 1970.
5. A row that breaks a constraint is refused with a state of SQL, and not with HTTP's 500, after which a client tries again for a long time.
"""

import asyncio
import dataclasses
import pathlib
import sys

import duckdb
import fakesnow.arrow
import fakesnow.copy_into
import fakesnow.cursor
import fakesnow.server
import pyarrow as pa
import snowflake.connector.errors
import uvicorn

# 1
params_of_copy = fakesnow.copy_into._params


def params(expr, *args, **kwargs):
    found = params_of_copy(expr, *args, **kwargs)
    if fakesnow.copy_into._from_source(expr).upper().startswith("@ADBC$BIND"):
        found = dataclasses.replace(found, file_format=fakesnow.copy_into.ReadParquet())
    return found


fakesnow.copy_into._params = params

# 2
uploaded = set()
write_file = fakesnow.server._write_bucket_file
copy = fakesnow.copy_into.copy_into


def write_new_file(path, body):
    written = write_file(path, body)
    uploaded.add(written)
    return written


def copy_new_files(connection, *args, **kwargs):
    forget = "DELETE FROM _fs_information_schema._fs_load_history WHERE file_name LIKE ?"
    files = [file for file in uploaded if file]
    uploaded.clear()
    for file in files:
        connection.execute(forget, [f"%{file}"])
    copied = copy(connection, *args, **kwargs)
    for file in files:
        pathlib.Path(file).unlink(missing_ok=True)
    return copied


fakesnow.server._write_bucket_file = write_new_file
fakesnow.copy_into.copy_into = copy_new_files
if callable(getattr(fakesnow.cursor, "copy_into", None)):
    fakesnow.cursor.copy_into = copy_new_files
elif hasattr(fakesnow.cursor, "copy_into"):
    fakesnow.cursor.copy_into.copy_into = copy_new_files

# 3
one_at_a_time = asyncio.Lock()


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"].startswith(("/queries/v1/query-request", "/fs_bucket")):
        async with one_at_a_time:
            await fakesnow.server.app(scope, receive, send)
    else:
        await fakesnow.server.app(scope, receive, send)


# 4
parts_of_instants = fakesnow.arrow.timestamp_to_sf_struct


def instants(values):
    parts = parts_of_instants(values)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    arrays = [part.fill_null(0) for part in parts.flatten()]
    return pa.StructArray.from_arrays(arrays, fields=list(parts.type), mask=values.is_null())


fakesnow.arrow.timestamp_to_sf_struct = instants

# 5
execute = fakesnow.cursor.FakeSnowflakeCursor.execute


def execute_or_refuse(self, *args, **kwargs):
    try:
        return execute(self, *args, **kwargs)
    except duckdb.ConstraintException as error:
        raise snowflake.connector.errors.ProgrammingError(msg=str(error), errno=100072, sqlstate="22000") from None


fakesnow.cursor.FakeSnowflakeCursor.execute = execute_or_refuse

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="info")
