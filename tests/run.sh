#!/usr/bin/env bash
# Checks everything that must hold: formatting, lints, licences and advisories (if cargo-deny is there), all tests.
#
# Needs the Rust toolchain. What else the tests need is taken from PATH, or installed by apt if that is possible without
# a question: a Redis server; Node 18 or newer for the tests against the real BullMQ; Python 3 with venv for those
# against the real ARQ; PHP, Laravel, PostgreSQL and MariaDB for those against the real Laravel; promtool for the alert
# rules. The first failure ends the run with its exit code.
#
#   tests/run.sh [arguments for `cargo test`, for example: --test cli health]
#
# With QTOP_TEST_FULL=1 faults are repeated as often as the requirements name (R3, R7, R8, U2, the chaos of each system),
# which takes half an hour more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

started=$SECONDS
durations=()
current="start"
policy=/usr/sbin/policy-rc.d
made_policy=

finish() {
  local code=$?
  trap - EXIT
  allow_services
  printf '\n'
  if ((${#durations[@]})); then printf '%s\n' "${durations[@]}"; fi
  if ((code == 0)); then
    printf 'all good after %d s\n' "$((SECONDS - started))"
  else
    printf 'FAILED in "%s" with exit code %d after %d s\n' "$current" "$code" "$((SECONDS - started))" >&2
  fi
  exit "$code"
}
trap finish EXIT

# step NAME COMMAND…: runs the command, and notes how long it took.
step() {
  current=$1
  shift
  local before=$SECONDS
  printf '\n==> %s: %s\n' "$current" "$*"
  "$@"
  durations+=("$(printf '%5d s  %s' "$((SECONDS - before))" "$current")")
}

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

# A Debian package of a server starts the server. The tests start their own, so nothing may be left running: while
# packages are installed, services are kept from starting. One that ran before is not touched.
allow_services() {
  if [[ $made_policy ]]; then as_root rm -f "$policy"; fi
  made_policy=
}

apt_install() {
  if [[ ! -e $policy ]]; then
    made_policy=1
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  local code=0
  { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@"; } || code=$?
  allow_services
  if ((code == 0)) && [[ " $* " == *" redis-server "* ]] && have systemctl && [[ -d /run/systemd/system ]]; then
    as_root systemctl disable redis-server
  fi
  return "$code"
}

can_install() {
  have apt-get && { ((EUID == 0)) || { have sudo && sudo -n true 2>/dev/null; }; }
}

python_makes_environments() {
  have python3 && python3 -c 'import ensurepip, venv' 2>/dev/null
}

node_is_new_enough() {
  have node && have npm && (($(node -p 'process.versions.node.split(".")[0]') >= 18))
}

# Debian packages that the tests against Laravel need and that are not there: PHP with its extensions, the framework,
# and two database servers, which the tests start themselves.
laravel_packages() {
  local extension
  if ! have php; then printf '%s\n' php-cli; fi
  for extension in redis sqlite3:pdo_sqlite mysql:pdo_mysql pgsql:pdo_pgsql mbstring xml; do
    if ! have php || ! php -m | grep -qix "${extension#*:}"; then printf 'php-%s\n' "${extension%:*}"; fi
  done
  if [[ ! -f /usr/share/php/Illuminate/autoload.php ]]; then printf '%s\n' php-laravel-framework; fi
  if [[ ! -x /usr/sbin/mariadbd ]]; then printf '%s\n' mariadb-server-core mariadb-client-core; fi
  if ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then printf '%s\n' postgresql; fi
}

tools() {
  local missing=()
  if ! have redis-server && ! have valkey-server; then missing+=(redis-server); fi
  if [[ -f tests/interop/package-lock.json ]] && ! node_is_new_enough; then missing+=(nodejs npm); fi
  if [[ -f tests/interop/requirements.txt ]] && ! python_makes_environments; then missing+=(python3 python3-venv); fi
  # It watches what the program starts while it reads hostile data.
  if ! have strace && can_install; then missing+=(strace); fi
  # rustls' cryptography and the build scripts of some crates need a C compiler.
  if ! have cc; then missing+=(build-essential); fi
  if [[ -f tests/interop/laravel/artisan.php ]]; then missing+=($(laravel_packages)); fi
  if ((${#missing[@]})); then
    if ! can_install; then
      printf 'missing: %s; install it, or run this as root or with sudo on Debian or Ubuntu\n' "${missing[*]}" >&2
      return 1
    fi
    apt_install "${missing[@]}"
  fi
  for component in rustfmt clippy; do
    if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1; then rustup component add "$component"; fi
  done
  cargo --version
  if have redis-server; then redis-server --version; else valkey-server --version; fi
  if [[ -f tests/interop/package-lock.json ]]; then
    if ! node_is_new_enough; then
      printf 'node %s is too old or npm is missing: the tests against BullMQ need Node 18 and npm\n' "$(node --version)" >&2
      return 1
    fi
    node --version
  fi
}

interop_packages() {
  local installed=tests/interop/node_modules/.package-lock.json
  if [[ -f $installed && $installed -nt tests/interop/package-lock.json ]]; then
    printf 'already installed\n'
  else
    npm ci --prefix tests/interop --no-audit --no-fund
  fi
}

# Python's packages lie under target/, where the tests look for them.
python_packages() {
  local wanted=tests/interop/requirements.txt installed=target/python/.installed
  if [[ -f $installed && $installed -nt $wanted ]]; then
    printf 'already installed\n'
  else
    python3 -m venv target/python
    target/python/bin/python -m pip install --quiet --disable-pip-version-check --requirement "$wanted"
    touch "$installed"
  fi
}

# The alert rules are checked by Prometheus' own tool, the only part of Debian's package that is taken; it lies under
# target/.
packaged_promtool() {
  local folder=target/prometheus
  if [[ ! -x $folder/usr/bin/promtool ]]; then
    rm -rf "$folder"
    mkdir -p "$folder"
    (cd "$folder" && apt-get -qq -o APT::Sandbox::User=root download prometheus >&2) || return 1
    dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb | tar -x -C "$folder" ./usr/bin/promtool || return 1
    rm -f "$folder"/prometheus_*.deb
  fi
  printf '%s\n' "$folder/usr/bin/promtool"
}

alert_rules() {
  local promtool=promtool
  if ! have promtool && ! promtool=$(packaged_promtool); then
    printf 'left out: promtool is not here, and the package prometheus cannot be had\n'
    return
  fi
  "$promtool" check rules assets/runner/alerts.yml
  "$promtool" test rules assets/runner/alerts.test.yml
}

all_tests() {
  local suite suites=() code=0
  for suite in tests/*.rs tests/*/main.rs; do
    suite=${suite#tests/} suite=${suite%/main.rs} suite=${suite%.rs}
    if [[ $suite != runner ]]; then suites+=(--test "$suite"); fi
  done
  cargo test --locked --no-fail-fast --lib --bins "${suites[@]}" || code=$?
  # These wait most of the time, so more of them may do so at once.
  RUST_TEST_THREADS=$((2 * $(nproc))) cargo test --locked --no-fail-fast --test runner || code=$?
  return "$code"
}

step "tools" tools
if [[ -f tests/interop/package-lock.json ]]; then step "packages for interop" interop_packages; fi
if [[ -f tests/interop/requirements.txt ]]; then step "Python packages for interop" python_packages; fi
step "format" cargo fmt --all --check
step "lints" cargo clippy --locked --all-targets -- -D warnings
if have cargo-deny; then
  step "licences and advisories" cargo deny check
else
  printf '\n==> licences and advisories: left out, cargo-deny is not installed (cargo install cargo-deny)\n'
fi
step "alert rules" alert_rules
if (($#)); then
  step "tests" cargo test --locked --no-fail-fast "$@"
else
  step "tests" all_tests
fi
