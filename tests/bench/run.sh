#!/usr/bin/env bash
# Measures the release build and writes the figures to assets/measurements.md.
#
#   tests/bench/run.sh                 everything, about a quarter of an hour
#   tests/bench/run.sh refresh keys    some sections, printed only
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if (($#)); then
  exec cargo bench --locked --quiet --bench measure -- "$@"
fi
mkdir -p assets
{
  printf '# Measurements\n\nMade by `tests/bench/run.sh`; nothing here is written by hand.\n\n'
  cargo bench --locked --quiet --bench measure
} | tee assets/measurements.md.part
mv assets/measurements.md.part assets/measurements.md
