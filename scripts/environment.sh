#!/bin/sh
# environment.sh LOCK: make .venv where there is none, install exactly what LOCK names, then this project itself.
# PYTHON names the interpreter for a new .venv; without it the first suitable one is taken.
set -eu
cd "$(dirname "$0")/.."
lock=$1

# New enough, and able to make environments (Debian ships ensurepip in a package of its own).
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
complete() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# 3.12 and 3.11 first: for these there is a wheel with a redis-server in it.
find_python() {
  without_venv=
  for python in ${PYTHON:-python3.12 python3.11 python3 python3.13 python3.14}; do
    new_enough "$python" || continue
    if complete "$python"; then echo "$python"; return; fi
    without_venv=$python
  done
  if [ -n "$without_venv" ]; then
    echo "$without_venv can not make environments. On Debian or Ubuntu: apt-get install python3-venv" >&2
  else
    found=$("${PYTHON:-python3}" --version 2>&1) || found="no ${PYTHON:-python3}"
    echo "livesegments needs Python 3.11 or newer; found $found. Name one: make setup PYTHON=/path/to/python3.12" >&2
  fi
  return 1
}

if ! new_enough .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  python=$(find_python)
  echo "Making .venv with $("$python" --version)"
  "$python" -m venv --clear .venv
fi
pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input "$@"; }
echo "Installing $(grep -c '^[a-z]' "$lock") packages from $lock: up to a minute the first time"
pip install --quiet --require-hashes --no-deps -r "$lock"
# The lock has the build backend too, so nothing unpinned is fetched to build with.
pip install --quiet --no-deps --no-build-isolation --editable .
