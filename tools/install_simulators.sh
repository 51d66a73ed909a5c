#!/usr/bin/env bash
# Installs the simulators of tests/rtl with apt where they are missing and root may; elsewhere it says what to do.
# Without them the tests in tests/rtl fail, and each says what it misses.
set -euo pipefail

missing=() # packages, which have the names of the programs
for program in iverilog verilator yosys g++ make; do
  command -v "$program" > /dev/null || missing+=("$program")
done
((${#missing[@]})) || exit 0

if ((EUID == 0)) && command -v apt-get > /dev/null; then
  echo "Installing ${missing[*]} with apt ..."
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
else
  echo "The tests in tests/rtl will fail: they need ${missing[*]}. On Debian and Ubuntu:" >&2
  echo "  sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
fi
