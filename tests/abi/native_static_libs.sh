#!/bin/sh
# native_static_libs.sh CHECKED_IN PRINTED: the system libraries that rustc says a static link needs are the
# checked-in list.
set -eu
[ -f "$2" ] || { echo "$2 is missing: touch build.rs and build again, rustc writes it"; exit 1; }
checked_in=$(grep '^-l' "$1")
printed=$(cat "$2")
if [ "$checked_in" != "$printed" ]; then
  echo "checked in ($1): $checked_in"
  echo "rustc prints:   $printed"
  exit 1
fi
echo "$printed"
