#!/usr/bin/env bash
# Python with the libraries that write text files, for tests: installed once, into a folder that stays.
#
#   install.sh FOLDER    prints the interpreter
#
# Exits with 3, and says why on stderr, where they cannot be installed.
set -euo pipefail

packages=(duckdb==2.0.1 pandas==3.1.1 polars==2.1.0 zstandard==0.25.0)
folder=$1/python-$(printf '%s-' "${packages[@]}")

if ! command -v python3 >/dev/null || ! command -v flock >/dev/null; then
    echo "Python 3 is not installed, which writes files with pandas, polars and DuckDB" >&2
    exit 3
fi
mkdir -p "$1"
# Tests of one run wait for the one that installs.
exec 9>"$folder.lock"
flock 9
if [ ! -e "$folder/complete" ]; then
    install=("$folder/bin/pip" install --quiet --disable-pip-version-check --retries 1 "${packages[@]}")
    if ! { python3 -m venv --clear "$folder" && "${install[@]}"; } >"$folder.log" 2>&1; then
        echo "pandas, polars and DuckDB cannot be installed: $(tail -n 1 "$folder.log")" >&2
        exit 3
    fi
    touch "$folder/complete"
fi
echo "$folder/bin/python"
