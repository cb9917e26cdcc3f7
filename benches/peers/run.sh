#!/usr/bin/env bash
# Encodes one Parquet file of profiles with what people use today: pandas, orjson, pyarrow, node. See README.md.
#   CLEVERTAP_PARQUET=/tmp/profiles.parquet cargo bench -p clevertap-benches -- encode     writes the file, and tells our figure
#   benches/peers/run.sh /tmp/profiles.parquet
set -euo pipefail
file=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pandas pyarrow orjson
"$work/venv/bin/python" "$here/peers.py" "$file" "$work/rows.json"
node "$here/peers.js" "$work/rows.json"
