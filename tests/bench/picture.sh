#!/usr/bin/env bash
# Draws the picture in README from the real program over its own demo: assets/screen.svg and assets/screen.txt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p assets
cargo bench --locked --quiet --bench measure -- picture "$PWD/assets/screen.svg"
