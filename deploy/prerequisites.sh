#!/usr/bin/env bash
# Prints a Python 3.11 or newer; looks for Java 17 or newer and Maven, which the sandbox's Elasticsearch needs.
# What is missing is installed where that needs nobody's consent: as root on a Debian-like system.
set -euo pipefail

find_python() {
  local name
  for name in python3.11 python3.12 python3.13 python3.14 python3; do
    if "$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return 0
    fi
  done
  return 1
}

has_java() {
  local version
  version=$(java -version 2>&1 | sed -nE 's/.*version "([0-9]+).*/\1/p') || return 1
  [[ -n "$version" && "$version" -ge 17 ]]
}

missing=()
find_python >/dev/null || missing+=(python3 python3-venv)
has_java || missing+=(default-jdk-headless)
command -v mvn >/dev/null || missing+=(maven)

if ((${#missing[@]})) && [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null; then
  echo "Installing ${missing[*]} with apt-get." >&2
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
    </dev/null >&2 || echo "apt-get could not install ${missing[*]}." >&2
fi

has_java && command -v mvn >/dev/null ||
  echo "Java 17 or newer (JDK) and Maven are not both here; without them the demo writes files instead of Elasticsearch." >&2
find_python || {
  echo "Python 3.11 or newer with venv is needed; install it and run make again." >&2
  exit 1
}
