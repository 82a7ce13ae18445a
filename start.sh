#!/usr/bin/env bash
# Sets up a private virtual environment on first use (and again when requirements.txt has changed), then runs.
#   ./start.sh              serve the dashboard and open the browser
#   ./start.sh list         any command of claude-accounts, as in: ./start.sh add work
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
environment="$project/venv"
prepared="$environment/.prepared-for"

fail() { # what is wrong, what to type
    printf 'claude-accounts: error: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf 'claude-accounts: hint: %s\n' "$2" >&2
    exit 1
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.10; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail 'Python 3.10 or newer is missing' 'install it: apt install python3 python3-venv, or brew install python'
}

prepare() {
    local python log
    python=$(find_python)
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$("$python" --version) has no venv module" 'apt install python3-venv'
    printf 'claude-accounts: preparing its private Python environment …\n' >&2
    log=$(mktemp)
    # Whatever happens below, no half-made environment is taken for a whole one.
    rm -f "$prepared"
    "$python" -m venv "$environment" >"$log" 2>&1 ||
        { cat "$log" >&2; rm -f "$log"; fail "cannot create $environment" 'check free space and permissions'; }
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check -r "$project/requirements.txt" >"$log" 2>&1 ||
        { cat "$log" >&2; rm -f "$log"; fail 'the requirements could not be installed' 'check the network, then run it again'; }
    rm -f "$log"
    cp "$project/requirements.txt" "$prepared"
}

if ! cmp -s "$project/requirements.txt" "$prepared" || ! [ -x "$environment/bin/python" ]; then
    prepare
fi
[ "$#" -gt 0 ] || set -- serve
exec "$environment/bin/python" "$project/cli.py" "$@"
