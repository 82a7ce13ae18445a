#!/bin/sh
# shellcheck shell=bash
# One command to start: the dashboard in Docker where its engine answers, else from a private Python environment here.
#   ./start.sh                      whichever of the two it can; opens the browser
#   ./start.sh --local [options]    from here, with the options of `serve`, for example --port 8080
#   ./start.sh --docker             in Docker or not at all; --port N, --no-browser
#   ./start.sh list                 any command of claude-accounts, for example: ./start.sh add work

# An empty or relative entry of PATH would start what lies in the current folder, bash included.
absolute_path() (
    kept='' IFS=:
    set -f
    for entry in $PATH; do
        case $entry in
        /*) kept=$kept:$entry ;;
        [~]/*) kept=$kept:${HOME:-/nowhere}/${entry#[~]/} ;;
        esac
    done
    printf '%s\n' "${kept#:}"
)
PATH=$(absolute_path)
PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}

# The rest is for bash, by whatever shell it was called; what calls itself sh is not quite bash either.
case "${BASH_VERSION:+bash}:${SHELLOPTS-}:" in
:* | *:posix:*)
    command -v bash >/dev/null 2>&1 ||
        { echo 'claude-accounts: error: bash is missing (on Alpine: apk add bash)' >&2; exit 1; }
    exec env -u SHELLOPTS -u POSIXLY_CORRECT bash "$0" "$@"
    ;;
esac
set -euo pipefail

# What does not exist (a disk that is not there, a session that has ended) would stop mktemp, and pip.
if [ ! -d "${TMPDIR:-/tmp}" ] || [ ! -w "${TMPDIR:-/tmp}" ]; then unset TMPDIR; fi

resolved() { # path: prints what it is when every link on the way is followed
    local path=$1 target
    while [ -L "$path" ]; do
        target=$(readlink "$path")
        case $target in
        /*) path=$target ;;
        *) path=$(dirname "$path")/$target ;;
        esac
    done
    # With CDPATH, cd would look and talk elsewhere.
    printf '%s/%s\n' "$(CDPATH='' cd -- "$(dirname "$path")" && pwd -P)" "$(basename "$path")"
}

script=$(resolved "${BASH_SOURCE[0]}")
project=${script%/*}
environment="$project/venv"
prepared="$environment/.prepared-for"

say() {
    printf 'claude-accounts: %s\n' "$1" >&2
}

fail() { # what is wrong, what to type
    say "error: $1"
    [ -z "${2:-}" ] || say "hint: $2"
    exit 1
}

# From here

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.10; do
        if [ -n "$candidate" ] && "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail 'Python 3.10 or newer is missing' 'install it: apt install python3 python3-venv, or brew install python'
}

wanted() { # what the environment is for: these libraries in this Python, which an upgrade of the system replaces
    cat "$project/requirements.lock" && resolved "$environment/bin/python"
}

is_prepared() {
    [ -x "$environment/bin/python" ] && wanted | cmp -s - "$prepared"
}

is_of_this_python() {
    [ -x "$environment/bin/python" ] && [ -f "$prepared" ] &&
        [ "$(tail -n 1 "$prepared")" = "$(resolved "$environment/bin/python")" ]
}

prepare() { # python: makes the environment; the caller holds its lock
    local log
    ! is_prepared || return 0
    say 'preparing a private Python environment, once, about 20 seconds'
    log=$(mktemp)
    # shellcheck disable=SC2064 # the name of now
    trap "rm -f '$log'" EXIT
    # Other libraries go into the same environment, which a server may be running from; another Python needs a new one.
    is_of_this_python || rm -rf "$environment"
    # Whatever happens below, no half-made environment is taken for a whole one.
    rm -f "$prepared"
    "$1" -I -m venv "$environment" >"$log" 2>&1 ||
        { cat "$log" >&2; fail "cannot create $environment" 'check free space and permissions'; }
    "$environment/bin/python" -Es "$project/own_python.py" install "$project/requirements.lock" 2>&1 |
        tee "$log" | show_progress || explain_pip "$log"
    "$environment/bin/python" -Es "$project/own_python.py" try >"$log" 2>&1 ||
        { tail -n 1 "$log" >&2; fail 'what was installed cannot be used' \
            "what Python said is above; to try another one: PYTHON=/path/to/python3 $project/start.sh"; }
    wanted >"$prepared"
    say 'ready'
}

show_progress() { # on a terminal one line that counts, elsewhere nothing
    local word rest count=0 all
    all=$(grep -c '^[[:alnum:]].*==' "$project/requirements.lock")
    while read -r word rest; do
        case $word in
        Collecting | Ignoring)
            count=$((count + 1))
            [ ! -t 2 ] || printf '\r  %s of %s' "$count" "$all" >&2
            ;;
        esac
    done
    [ ! -t 2 ] || printf '\r\033[K' >&2
}

explain_pip() { # log
    # pip repeats an address as it was given to it, with its password.
    { grep -E '^ *(ERROR|error)|No space' "$1" || :; } |
        sed -E 's|//[^[:space:]]*@|//***@|g; s|(//[^]:/[:space:]]*):[^]:/[:space:]]*[^]:/0-9[:space:]][^[:space:]]*|\1:***|g' >&2
    if grep -q 'SOCKS support' "$1"; then
        fail 'pip itself speaks no SOCKS' "name an HTTP proxy for this once: HTTPS_PROXY=http://HOST:PORT $project/start.sh"
    fi
    if grep -qiE 'NewConnectionError|name resolution|timed out|ProxyError|Max retries|unreachable' "$1"; then
        fail 'the Python package index cannot be reached' 'check the network, then run it again'
    fi
    if grep -q 'DO NOT MATCH THE HASHES' "$1"; then
        fail 'the package index sent other files than requirements.lock names' \
            'what pip said is above; check which index pip is told to use (PIP_INDEX_URL, pip.conf)'
    fi
    fail 'the requirements could not be installed' 'what pip said is above; mend it, then run it again'
}

# Two first starts at once: the second waits for the lock, which the system takes back from whoever dies with it.
readonly hold_lock='
import fcntl, subprocess, sys
lock = open(sys.argv[1], "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("claude-accounts: waiting for another start to prepare the environment", file=sys.stderr, flush=True)
    fcntl.flock(lock, fcntl.LOCK_EX)
try:
    sys.exit(subprocess.call(sys.argv[2:], pass_fds=[lock.fileno()]))
except KeyboardInterrupt:
    sys.exit(130)
'

run_here() { # a command of claude-accounts and its arguments
    local python
    if ! is_prepared; then
        python=$(find_python)
        "$python" -I -c 'import venv, ensurepip' 2>/dev/null ||
            fail "$("$python" --version) has no venv module" 'apt install python3-venv'
        : 2>/dev/null >>"$project/.venv.lock" || fail "cannot write to $project" 'check free space and permissions'
        "$python" -I -c "$hold_lock" "$project/.venv.lock" "$BASH" "$project/start.sh" --prepare "$python"
    fi
    exec "$environment/bin/python" -Es "$project/cli.py" "$@"
}

# In Docker

docker_problem() { # prints what keeps Docker from being used, then what to do; nothing when it can be
    if ! command -v docker >/dev/null 2>&1; then
        printf 'docker is not installed\ninstall it, or serve from here: ./start.sh --local\n'
    elif ! docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then
        printf 'the Docker engine does not answer\nstart it (docker version says more), or serve from here: ./start.sh --local\n'
    elif ! docker compose version >/dev/null 2>&1; then
        printf 'docker has no compose plugin\ninstall it: apt install docker-compose-plugin, or brew install docker-compose; or: ./start.sh --local\n'
    elif [ "$(id -u)" = 0 ]; then
        printf 'the container does not run as root\nstart it as an ordinary user, or serve from here: ./start.sh --local\n'
    fi
}

compose() {
    docker compose --project-directory "$project" "$@"
}

make_mounted() { # Docker would make folders that belong to root, and of a missing file a folder too
    local folder
    for folder in "${CLAUDE_ACCOUNTS_HOME:-$HOME/.claude-accounts}" "$HOME/.claude"; do
        (umask 077 && mkdir -p "$folder") || fail "cannot create $folder" 'check free space and permissions'
    done
    # With noclobber a file that has appeared in between stays as it is.
    [ -e "$HOME/.claude.json" ] || (umask 077 && set -o noclobber && printf '{}\n' >"$HOME/.claude.json") 2>/dev/null || :
    [ -f "$HOME/.claude.json" ] || fail "$HOME/.claude.json is not a file" 'move it away, then run it again'
}

ask() { # port path: prints what the dashboard answers, nothing when none is there
    local line
    { exec 3<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 0
    printf 'GET %s HTTP/1.0\r\nHost: localhost:%s\r\n\r\n' "$2" "$1" >&3 2>/dev/null || :
    while read -r -t 5 line <&3 2>/dev/null || [ -n "$line" ]; do printf '%s\n' "$line"; done
    exec 3>&-
}

start_container() { # port
    local log
    compose build || fail 'the image could not be built' \
        'what Docker said is above: check the network; or serve from here: ./start.sh --local'
    log=$(mktemp)
    # shellcheck disable=SC2064 # the name of now
    trap "rm -f '$log'" EXIT
    if ! compose up --detach >"$log" 2>&1; then
        if grep -qE 'already allocated|already in use|port is not available' "$log"; then
            fail "port $1 is in use by another program" "./start.sh --docker --port $(($1 + 1))"
        fi
        cat "$log" >&2
        fail 'the container could not be started' 'what Docker said is above'
    fi
}

wait_for_answer() { # port
    local state waited=0
    until [[ $(ask "$1" /healthz) == HTTP/1.?' 200 '* ]]; do
        state=$(docker inspect --format '{{.State.Status}}' "$(compose ps --all --quiet claude-accounts)" 2>/dev/null || :)
        case $state in
        exited | dead | restarting)
            compose logs --no-log-prefix --tail 15 claude-accounts >&2 || :
            fail 'the server in the container has ended' 'what it said is above'
            ;;
        esac
        waited=$((waited + 1))
        [ "$waited" -le 300 ] || fail 'the server in the container does not answer' 'docker compose logs tells why'
        sleep 0.2
    done
}

show_setup_code() { # port: the first visit needs the code, from this machine too, since it comes through Docker
    local code
    [[ $(ask "$1" /api/auth/status) =~ '"setup_done":'\ ?false ]] || return 0
    code=$(compose logs --no-color --no-log-prefix claude-accounts 2>/dev/null |
        grep -oE '[A-HJ-NP-Z2-9]{4}(-[A-HJ-NP-Z2-9]{4}){2}' | tail -n 1 || :)
    [ -z "$code" ] || say "setup code, for a first visit: $code"
}

open_browser() { # address
    if [ -n "${BROWSER:-}" ]; then
        "$BROWSER" "$1" >/dev/null 2>&1 &
    elif [ "$(uname)" = Darwin ]; then
        open "$1" || :
    elif [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}${WSL_DISTRO_NAME:-}" ] && command -v xdg-open >/dev/null 2>&1; then
        xdg-open "$1" >/dev/null 2>&1 &
    fi
}

run_in_docker() { # options
    local port="${CLAUDE_ACCOUNTS_PORT:-5111}" browser=yes
    while [ "$#" -gt 0 ]; do
        case $1 in
        --no-browser) browser='' ;;
        --port) port=${2:-} && shift ;;
        --port=*) port=${1#*=} ;;
        *) fail "$1 is not an option of ./start.sh --docker" 'docs/deployment.md says what can be set, and how' ;;
        esac
        shift || break
    done
    case $port in '' | *[!0-9]* | ??????*) fail 'a port is a number from 1 to 65535' './start.sh --docker --port 5111' ;; esac
    make_mounted
    CLAUDE_ACCOUNTS_PORT=$port CLAUDE_ACCOUNTS_UID=$(id -u) CLAUDE_ACCOUNTS_GID=$(id -g)
    CLAUDE_ACCOUNTS_LANG=${CLAUDE_ACCOUNTS_LANG:-${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}}
    export CLAUDE_ACCOUNTS_PORT CLAUDE_ACCOUNTS_UID CLAUDE_ACCOUNTS_GID CLAUDE_ACCOUNTS_LANG
    say 'building the image (the first time takes a few minutes)'
    start_container "$port"
    wait_for_answer "$port"
    say "Dashboard: http://localhost:$port/"
    show_setup_code "$port"
    say 'it goes on in the background; docker compose logs shows what it says, docker compose down ends it'
    [ -z "$browser" ] || open_browser "http://localhost:$port/"
}

run_either() { # options: in Docker where that can be, else from here with a word why
    local problem
    problem=$(docker_problem)
    if [ -z "$problem" ]; then
        run_in_docker "$@"
    else
        # Without a client nobody expects Docker.
        ! command -v docker >/dev/null 2>&1 || say "without Docker: ${problem%%$'\n'*}"
        run_here serve "$@"
    fi
}

case ${1:-} in
--prepare)
    prepare "$2"
    ;;
--local)
    shift
    case ${1:-} in '' | -*) run_here serve "$@" ;; *) run_here "$@" ;; esac
    ;;
--docker)
    shift
    problem=$(docker_problem)
    [ -z "$problem" ] || fail "${problem%%$'\n'*}" "${problem#*$'\n'}"
    run_in_docker "$@"
    ;;
'' | --no-browser | --port | --port=*) run_either "$@" ;;
-h | --help | --version) run_here "$@" ;;
-*) run_here serve "$@" ;;
*) run_here "$@" ;;
esac
