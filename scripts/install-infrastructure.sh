#!/usr/bin/env bash
# Install Debian's PostgreSQL, nginx, strace and Chromium for the tests, where that is ours to do: as
# root on Debian, and only what is missing. Anywhere else the tests say what they skipped.
set -euo pipefail

missing=()
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null ||
    [ -n "${CLOSED_LOOP_TEST_POSTGRES:-}" ] || missing+=(postgresql)
PATH="$PATH:/usr/sbin" command -v nginx >/dev/null || missing+=(nginx)
command -v strace >/dev/null || missing+=(strace)
command -v chromium >/dev/null || [ -n "${CLOSED_LOOP_TEST_CHROMIUM:-}" ] ||
    missing+=(chromium fonts-dejavu-core)

[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || [ ! -e /etc/debian_version ]; then
    echo "tests that need ${missing[*]} will be skipped: install them first" >&2
    exit 0
fi

echo "installing ${missing[*]} for the tests" >&2
export DEBIAN_FRONTEND=noninteractive
# Debian starts the servers that it installs; the tests start their own, so these stay off.
if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
fi
# Another apt may be at work: wait for its lock.
apt="apt-get -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3"
try() {
    local n
    for n in 1 2 3; do
        "$@" >/tmp/closed-loop-apt.$$ 2>&1 && { rm -f /tmp/closed-loop-apt.$$; return 0; }
        sleep $((n * 10)) # the lock of the lists has no time-out of its own
    done
    tail -20 /tmp/closed-loop-apt.$$ >&2
    return 1
}
# A machine that cannot install is a machine that skips; with CI=true the tests then fail.
try $apt update && try $apt install -y --no-install-recommends "${missing[@]}" ||
    echo "could not install ${missing[*]}: the tests that need them will be skipped" >&2
