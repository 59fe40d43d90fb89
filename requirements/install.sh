#!/bin/sh
# install.sh VENV LOCK: make VENV if missing and install requirements/LOCK.lock and the project into it.
# uv does it in seconds; it is used when it is already on the PATH, else pip.
set -eu
venv=$1
lock=requirements/$2.lock
python=$venv/bin/python

if command -v uv >/dev/null; then
    [ -x "$python" ] || uv venv --quiet --python "${PYTHON:-python3}" "$venv"
    install() { uv pip install --quiet --python "$python" "$@"; }
else
    [ -x "$python" ] || "${PYTHON:-python3}" -m venv "$venv"
    install() { "$python" -m pip install --quiet --disable-pip-version-check "$@"; }
fi
echo "installing $lock into $venv"
install --require-hashes -r "$lock"
install --no-deps --no-build-isolation -e .
