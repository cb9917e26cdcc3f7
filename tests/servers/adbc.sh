#!/usr/bin/env bash
# ADBC drivers for tests, from PyPI: in a virtual environment that is made once and used again.
#
#   adbc.sh FOLDER             the drivers of SQLite and PostgreSQL
#   adbc.sh FOLDER snowflake   Snowflake's too, and fakesnow, which stands for Snowflake: 300 MB
#
# Prints the folder of the packages, where adbc_driver_NAME/libadbc_driver_NAME.so is. Exits with 3, and says why on stderr, where they cannot be
# installed.
set -euo pipefail

folder=$1
packages=(adbc-driver-sqlite==1.13.0 adbc-driver-postgresql==1.13.0)
done="$folder/installed"
if [ "${2:-}" = snowflake ]; then
    # A later connector has another shape than this fakesnow expects.
    packages+=(adbc-driver-snowflake==1.11.0 fakesnow==0.12.1 "snowflake-connector-python<5" pyarrow uvicorn starlette)
    done="$folder/installed-snowflake"
fi

mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
if [ ! -e "$done" ]; then
    if ! command -v python3 >/dev/null; then
        echo "ADBC drivers cannot be installed: there is no python3" >&2
        exit 3
    fi
    if ! { [ -x "$folder/venv/bin/pip" ] || python3 -m venv "$folder/venv"; } >"$folder/pip.log" 2>&1 ||
        ! "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}" >>"$folder/pip.log" 2>&1; then
        echo "ADBC drivers cannot be installed: $(tail -n 1 "$folder/pip.log")" >&2
        exit 3
    fi
    touch "$done"
fi
echo "$folder"/venv/lib/python3*/site-packages
