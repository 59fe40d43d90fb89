#!/bin/sh
# Rewrites the three lock files from pyproject.toml's extras: exact versions with the hashes of every file,
# for all platforms and Pythons from 3.11 on. Needs uv on the PATH.
#   runtime  what a worker needs            (the image)
#   dev      with local, test and check     (make setup)
#   bench    with the benchmarks' peers     (make bench…)
# The smaller locks are constrained by the larger one, so that a version is the same in all of them.
set -eu
cd "$(dirname "$0")/.."

lock() {
    name=$1
    shift
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate "$@" \
        --output-file "requirements/$name.tmp"
    {
        echo "# Exact versions and hashes ($name). Made by requirements/compile.sh (make lock); don't edit."
        cat "requirements/$name.tmp"
    } >"requirements/$name.lock"
    rm "requirements/$name.tmp"
}

lock bench pyproject.toml requirements/build.in --extra local --extra test --extra check --extra bench
lock dev pyproject.toml requirements/build.in --extra local --extra test --extra check \
    --constraint requirements/bench.lock
lock runtime pyproject.toml requirements/build.in --constraint requirements/bench.lock
