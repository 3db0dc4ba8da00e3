#!/bin/sh
# Installs the packages of debian-packages.txt that are missing. As root it installs them; otherwise it prints the
# command. Ends with 0 if nothing is missing (any more).
set -eu

list="$(dirname "$0")/debian-packages.txt"

if ! command -v dpkg-query >/dev/null; then
  echo "install-debian-packages: this is not Debian; install the programs of $list by your own means" >&2
  exit 1
fi

missing=''
for package in $(grep -v '^#' "$list"); do
  status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
  [ "$status" = 'install ok installed' ] || missing="$missing $package"
done

[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "install-debian-packages: missing:$missing; run: sudo apt-get update && sudo apt-get install --yes$missing" >&2
  exit 1
fi

apt-get update --quiet
DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends $missing
