#!/usr/bin/env bash
# A stand-in for BigQuery for the tests of one process: bqemulator, installed by pip into a folder that outlives them.
#
#   bigquery.sh FOLDER PORT OWNER   listens on that port of the loopback, for the project `acme`; ends, and removes FOLDER, when the process OWNER
#                                   has ended
#
# CLEVERTAP_TEST_TOOLS is where it is installed. Exits with 3, and says why on stderr, where it cannot be.
set -euo pipefail

folder=$1
port=$2
owner=$3
tools=${CLEVERTAP_TEST_TOOLS:-$folder}
venv=$tools/bqemulator-1.4.0

if ! command -v python3 >/dev/null; then
    echo "BigQuery's stand-in needs python3" >&2
    exit 3
fi
mkdir -p "$tools"
exec 9>"$venv.lock"
flock 9
if [ ! -e "$venv/ready" ]; then
    rm -rf "$venv"
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install --disable-pip-version-check --no-input \
        bqemulator==1.4.0 duckdb==1.5.5 duckdb-extension-spatial==1.5.5 numpy; } >"$folder/pip.log" 2>&1; then
        echo "BigQuery's stand-in cannot be installed: $(tail -n 1 "$folder/pip.log")" >&2
        exit 3
    fi
    touch "$venv/ready"
fi
exec 9>&-

# It looks for this extension where DuckDB would have put it, which is not reached here.
spatial=$(ls "$venv"/lib/python3*/site-packages/duckdb_extension_spatial/extensions/v1.5.5/spatial.duckdb_extension)
extensions=$folder/home/.duckdb/extensions/v1.5.5/linux_$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
mkdir -p "$extensions"
ln -s "$spatial" "$extensions/"

HOME=$folder/home "$venv/bin/bqemulator" start --rest-port "$port" --grpc-port 0 --project acme --log-level error >"$folder/server.log" 2>&1 </dev/null &
pid=$!
for _ in $(seq 300); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        (
            while kill -0 "$owner" 2>/dev/null; do sleep 0.2; done
            kill -TERM "$pid"
            while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
            rm -rf "$folder"
        ) >/dev/null 2>&1 </dev/null &
        exit 0
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
done
echo "BigQuery's stand-in did not start: $(tail -n 1 "$folder/server.log")" >&2
exit 1
