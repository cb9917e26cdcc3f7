#!/usr/bin/env bash
# What stands for Snowflake in tests: fakesnow, by the environment that adbc.sh has made.
#
#   fakesnow.sh FOLDER PORT OWNER   FOLDER is that of adbc.sh; listens on that port of the loopback, with the database WH; ends when the process
#                                   OWNER has ended
set -euo pipefail

folder=$1
port=$2
owner=$3
here=$(cd "$(dirname "$0")" && pwd)

"$folder/venv/bin/python" "$here/fakesnow_adbc.py" "$port" >"$folder/fakesnow-$port.log" 2>&1 &
pid=$!
for _ in $(seq 300); do
    if grep -q "Uvicorn running" "$folder/fakesnow-$port.log"; then
        (
            while kill -0 "$owner" 2>/dev/null; do sleep 0.2; done
            kill -TERM "$pid"
            rm -f "$folder/fakesnow-$port.log"
        ) >/dev/null 2>&1 </dev/null &
        exit 0
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
done
echo "fakesnow did not start: $(tail -n 1 "$folder/fakesnow-$port.log")" >&2
exit 1
