#!/usr/bin/env bash
# Installs Python's deltalake (the library that others write Delta tables with) and moto's server (S3 on loopback) into a folder, once.
#
#   bash delta.sh FOLDER
#
# Ends with 3, and says why, where it cannot.
set -euo pipefail
folder=$1

cannot() {
    echo "Delta Lake beside Python's deltalake: $*" >&2
    exit 3
}

exec 9>"$folder.lock" || cannot "$folder is not writable"
flock 9
[ -e "$folder/installed" ] && exit 0
command -v python3 >/dev/null || cannot "there is no python3"
python3 -m venv "$folder" >/dev/null 2>&1 || {
    command -v apt-get >/dev/null && apt-get install -y -qq python3-venv >/dev/null 2>&1
    python3 -m venv --clear "$folder" >/dev/null 2>&1 || cannot "python3 makes no venv"
}
"$folder/bin/pip" install --quiet --disable-pip-version-check 'deltalake==1.6.*' pyarrow 'moto[server]==5.2.*' >/dev/null 2>"$folder.log" ||
    cannot "pip cannot be reached"
touch "$folder/installed"
