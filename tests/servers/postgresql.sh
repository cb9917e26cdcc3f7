#!/usr/bin/env bash
# PostgreSQL for one test: installed if it is not there, in a folder of its own, reached by a socket in that folder.
#
#   postgresql.sh FOLDER    starts it and prints its process id; whoever started it ends it by `kill -INT`
#
# Exits with 3, and says why on stderr, where it cannot be installed.
set -euo pipefail

folder=$1

bin() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1; }

if [ -z "$(bin)" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "PostgreSQL is not installed, and only root can install it" >&2
        exit 3
    fi
    export DEBIAN_FRONTEND=noninteractive
    if ! { apt-get update && apt-get install -y --no-install-recommends postgresql; } >"$folder/apt.log" 2>&1; then
        echo "PostgreSQL cannot be installed: $(tail -n 1 "$folder/apt.log")" >&2
        exit 3
    fi
fi

# It does not run as root.
as=()
if [ "$(id -u)" = 0 ]; then
    chown -R postgres "$folder"
    as=(runuser -u postgres --)
fi

"${as[@]}" "$(bin)/initdb" -D "$folder/data" --username=test --auth=trust --encoding=UTF8 --locale=C --no-sync >"$folder/initdb.log" 2>&1
"${as[@]}" "$(bin)/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c fsync=off -c shared_buffers=32MB >"$folder/server.log" 2>&1 &
for _ in $(seq 100); do
    if psql -h "$folder" -U test -d postgres -c 'SELECT 1' >/dev/null 2>&1; then
        head -n 1 "$folder/data/postmaster.pid"
        exit 0
    fi
    sleep 0.1
done
echo "PostgreSQL did not start: $(tail -n 1 "$folder/server.log")" >&2
exit 1
