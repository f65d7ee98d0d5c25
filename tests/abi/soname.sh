#!/bin/sh
# soname.sh READELF LIB_DIR VERSION ABI_VERSION: SONAME, the chain of links and the no-unload flag of the
# build tree's library.
set -eu
readelf=$1 lib_dir=$2 version=$3 abi=$4
fail() { echo "$1"; exit 1; }

dynamic=$("$readelf" -d "$lib_dir/libwtgram.so")
echo "$dynamic" | grep -qF "soname: [libwtgram.so.$abi]" || fail "SONAME is not libwtgram.so.$abi: $dynamic"
echo "$dynamic" | grep -q 'FLAGS_1.*NODELETE' || fail "not linked with -z nodelete: $dynamic"
[ "$(readlink "$lib_dir/libwtgram.so")" = "libwtgram.so.$abi" ] || fail "libwtgram.so does not link to libwtgram.so.$abi"
[ "$(readlink "$lib_dir/libwtgram.so.$abi")" = "libwtgram.so.$version" ] || fail "libwtgram.so.$abi does not link to libwtgram.so.$version"
[ -f "$lib_dir/libwtgram.so.$version" ] || fail "libwtgram.so.$version is no file"
echo "libwtgram.so -> libwtgram.so.$abi -> libwtgram.so.$version, nodelete"
