#!/usr/bin/env bash
# PostgreSQL for one test: installed if it is not there, in a folder of its own, reached by a socket in that folder.
#
#   postgresql.sh FOLDER              starts it and prints its process id; whoever started it ends it by `kill -INT`
#   postgresql.sh FOLDER PORT OWNER   listens on that port of the loopback too, by TLS if server.crt and server.key are in FOLDER, where the user
#                                     "locked" needs a password; ends, and removes FOLDER, when the process OWNER has ended
#
# Exits with 3, and says why on stderr, where it cannot be installed.
set -euo pipefail

folder=$1
port=${2:-}
owner=${3:-}

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
listen=(-c listen_addresses=)
if [ -n "$port" ]; then
    listen=(-c listen_addresses=127.0.0.1 -p "$port")
    if [ -e "$folder/server.crt" ]; then
        chmod 600 "$folder/server.key"
        listen+=(-c ssl=on -c "ssl_cert_file=$folder/server.crt" -c "ssl_key_file=$folder/server.key")
    fi
    sed -i '1i host all locked all scram-sha-256' "$folder/data/pg_hba.conf"
fi
"${as[@]}" "$(bin)/postgres" -D "$folder/data" -k "$folder" "${listen[@]}" -c fsync=off -c shared_buffers=32MB >"$folder/server.log" 2>&1 &
for _ in $(seq 100); do
    if psql -h "$folder" -p "${port:-5432}" -U test -d postgres -c 'SELECT 1' >/dev/null 2>&1; then
        if [ -n "$owner" ]; then
            pid=$(head -n 1 "$folder/data/postmaster.pid")
            (
                while kill -0 "$owner" 2>/dev/null; do sleep 0.2; done
                kill -INT "$pid"
                while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
                rm -rf "$folder"
            ) >/dev/null 2>&1 </dev/null &
        fi
        head -n 1 "$folder/data/postmaster.pid"
        exit 0
    fi
    sleep 0.1
done
echo "PostgreSQL did not start: $(tail -n 1 "$folder/server.log")" >&2
exit 1
