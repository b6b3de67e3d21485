#!/bin/sh
# Names the Debian packages that the tests use and this machine lacks; `install` installs them (as root).
# The library itself needs none of them. What is found by its command counts, whatever package it came from.
set -eu

missing=
want() { # package, then a command that succeeds where it is present
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

want make command -v make
want python3-venv python3 -c 'import ensurepip, venv'
want octave command -v octave-cli
want gnuplot-nox command -v gnuplot
want chromium command -v chromium
want fonts-dejavu-core test -e /usr/share/fonts/truetype/dejavu
want tmux command -v tmux
want bash-completion test -e /usr/share/bash-completion/bash_completion

[ -n "$missing" ] || exit 0
if [ "${1-}" = install ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086 # one word per package
    apt-get install -qq -y --no-install-recommends $missing >/dev/null
else
    echo "Missing Debian packages:$missing (apt-get install --no-install-recommends$missing); their tests are skipped." >&2
fi
