#!/bin/bash
# Makes .venv with everything that make check, test and demo need. Idempotent; says what it does.
#   setup.sh            the Python side only (what `make check` needs)
#   setup.sh --system   also the Debian packages (root), for the laboratory and PostgreSQL
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
say() { echo "[setup] $*"; }

missing() {
  local package
  for package in $(grep -v '^#' setup/debian-packages.txt); do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
  done
}

if [ "${1:-}" = --system ]; then
  wanted=$(missing)
  if [ -n "$wanted" ]; then
    if [ "$(id -u)" != 0 ]; then
      say "not root: cannot install" $wanted
    else
      say "installing Debian packages:" $wanted
      export DEBIAN_FRONTEND=noninteractive
      # A package that starts a daemon of its own on installation would be a guest that nobody invited:
      # policy-rc.d keeps them down unless the machine has a policy already.
      policy=/usr/sbin/policy-rc.d
      if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' > "$policy"; chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
      fi
      apt-get update -qq
      # shellcheck disable=SC2086
      apt-get install -y -qq --no-install-recommends $wanted > .setup.log 2>&1 || { tail -n 30 .setup.log; exit 1; }
      rm -f .setup.log
    fi
  fi
fi

stamp=.venv/.locked
if ! cmp -s requirements/dev.txt "$stamp"; then
  say "making .venv from requirements/dev.txt (hashes are checked)"
  [ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/bootstrap.txt
  # Without build isolation, what builds libvirt-python is hashed as well: it is in bootstrap.txt.
  .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes --no-build-isolation -r requirements/dev.txt
  .venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
  cp requirements/dev.txt "$stamp"
fi
say "ready: .venv/bin/jackfield"
