#!/bin/bash
# Makes .venv with everything that make check, test and demo need. Idempotent; says what it does.
#   setup.sh            the Python side only (what `make check` needs)
#   setup.sh --system   also the Debian packages (root), for the laboratory and PostgreSQL
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
say() { echo "[setup] $*"; }

missing_packages() {
  local package
  for package in $(grep -v '^#' setup/debian-packages.txt); do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
  done
}

install_packages() {
  local log policy
  say "installing Debian packages:" "$@"
  log=$(mktemp)
  # A package that starts a daemon of its own on installation would be a guest whom nobody invited:
  # policy-rc.d keeps them down, unless the machine has a policy already.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod 755 "$policy"
    # shellcheck disable=SC2064
    trap "rm -f '$policy'" EXIT
  fi
  if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
         apt-get install -y -qq --no-install-recommends "$@"; } > "$log" 2>&1; then
    tail -n 30 "$log"
    say "apt-get failed; the whole of what it said is in $log"
    return 1
  fi
  rm -f "$log"
}

if [ "${1:-}" = --system ]; then
  mapfile -t wanted < <(missing_packages)
  if [ "${#wanted[@]}" -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      install_packages "${wanted[@]}"
    else
      say "not root on Debian, so these are not installed: ${wanted[*]}"
    fi
  fi
fi

lock=requirements/dev.txt
# libvirt-python is built against the machine's libvirt. Without that there is no laboratory either, and
# everything that runs on simulated hosts does without.
if ! pkg-config --exists libvirt 2>/dev/null; then
  say "no libvirt to build against: libvirt-python is left out, only simulated hosts will work"
  lock=.venv-lock.txt
  awk '/^[a-z]/ {keep = !/^libvirt-python==/} keep' requirements/dev.txt > "$lock"
fi

if ! cmp -s "$lock" .venv/.locked; then
  say "making .venv from requirements/dev.txt (hashes are checked)"
  [ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
    -r requirements/bootstrap.txt
  # Without build isolation, what builds libvirt-python is hashed as well: it is in bootstrap.txt.
  .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes --no-build-isolation -r "$lock"
  .venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
  cp "$lock" .venv/.locked
fi
rm -f .venv-lock.txt
say "ready: .venv/bin/jackfield"
