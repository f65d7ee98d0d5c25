#!/usr/bin/env bash
# ignored_results.sh SOURCE COMPILER ARGUMENTS...: the lines of SOURCE that are marked "// warns", and only
# those, make the compiler complain of an ignored result.
set -euo pipefail
source=$1
shift
marked=$(grep -n '// warns$' "$source" | cut -d: -f1)
complained=$("$@" -Wall -Wextra -fsyntax-only "$source" 2>&1 >/dev/null |
  sed -nE "s|^[^:]*${source##*/}:([0-9]+):.*unused-result.*|\1|p" | sort -nu)
[ -n "$marked" ] && diff <(echo "$marked") <(echo "$complained")
