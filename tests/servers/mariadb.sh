#!/usr/bin/env bash
# MariaDB for the tests of one process: installed if it is not there, in a folder of its own.
#
#   mariadb.sh FOLDER PORT OWNER   listens on that port of the loopback and on FOLDER/socket, by TLS if server.crt and server.key are in FOLDER;
#                                  users `test` without a password and `locked` with one; ends, and removes FOLDER, when the process OWNER has ended
#
# Exits with 3, and says why on stderr, where it cannot be installed.
set -euo pipefail

folder=$1
port=$2
owner=$3

if ! command -v mariadbd >/dev/null && [ ! -x /usr/sbin/mariadbd ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "MariaDB is not installed, and only root can install it" >&2
        exit 3
    fi
    export DEBIAN_FRONTEND=noninteractive
    if ! { apt-get update && apt-get install -y --no-install-recommends mariadb-server; } >"$folder/apt.log" 2>&1; then
        echo "MariaDB cannot be installed: $(tail -n 1 "$folder/apt.log")" >&2
        exit 3
    fi
fi
export PATH="$PATH:/usr/sbin"

# It does not run as root.
as=()
if [ "$(id -u)" = 0 ]; then
    chown -R mysql "$folder"
    as=(runuser -u mysql --)
fi

tls=()
if [ -e "$folder/server.crt" ]; then
    tls=("--ssl-cert=$folder/server.crt" "--ssl-key=$folder/server.key")
fi
"${as[@]}" mariadb-install-db --no-defaults --datadir="$folder/data" --auth-root-authentication-method=normal --skip-test-db >"$folder/install.log" 2>&1
"${as[@]}" mariadbd --no-defaults --datadir="$folder/data" --socket="$folder/socket" --port="$port" --bind-address=127.0.0.1 \
    --pid-file="$folder/pid" --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=32M --skip-log-bin --skip-name-resolve \
    "${tls[@]}" >"$folder/server.log" 2>&1 &
sql="CREATE USER test@'%'; GRANT ALL ON *.* TO test@'%'; CREATE USER locked@'%' IDENTIFIED BY 'right horse'; GRANT SELECT ON *.* TO locked@'%'"
for _ in $(seq 200); do
    if mariadb --no-defaults --socket="$folder/socket" -u root -e "$sql" >/dev/null 2>&1; then
        pid=$(cat "$folder/pid")
        (
            while kill -0 "$owner" 2>/dev/null; do sleep 0.2; done
            kill -TERM "$pid"
            while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
            rm -rf "$folder"
        ) >/dev/null 2>&1 </dev/null &
        exit 0
    fi
    sleep 0.1
done
echo "MariaDB did not start: $(tail -n 1 "$folder/server.log")" >&2
exit 1
