#!/bin/sh
# Installs what cnet needs from Debian (12 or newer), and nothing when all of it is there.
#
#     sh tests/install-packages.sh            # to build and to run every test
#     sh tests/install-packages.sh build      # only to build
set -eu

build='gcc libc6-dev meson ninja-build pkg-config flex bison libprotobuf-c-dev protobuf-c-compiler libcjson-dev
libzip-dev zlib1g-dev libxxhash-dev libgmp-dev libcunit1-dev'
tests='g++ binutils python3 python3-numpy libonnx-testdata'

case ${1-all} in
build) wanted=$build ;;
all) wanted="$build $tests" ;;
*) echo "usage: $0 [build]" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is not Debian, so nothing is installed; what is needed, by its names there:" $wanted "llvm-19-dev (or newer)"
    exit 0
fi

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing=
for package in $wanted; do
    installed "$package" || missing="$missing $package"
done
# Any LLVM from 19 on will do; 19 is what we test with most.
llvm=
for version in 22 21 20 19; do
    if installed "llvm-$version-dev"; then llvm=here; break; fi
done
if [ -z "$missing" ] && [ -n "$llvm" ]; then
    exit 0
fi

if [ "$(id -u)" = 0 ]; then
    root=
elif command -v sudo >/dev/null; then
    root=sudo
else
    echo "These packages are missing, and installing them needs root or sudo:$missing ${llvm:-llvm-19-dev}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
echo "Fetching Debian's package lists ($root apt-get update) …"
$root apt-get update -qq
if [ -z "$llvm" ]; then
    for version in 19 20 21 22; do
        if apt-cache show "llvm-$version-dev" >/dev/null 2>&1; then
            missing="$missing llvm-$version-dev"
            llvm=found
            break
        fi
    done
    if [ -z "$llvm" ]; then
        echo "This Debian has no llvm-19-dev or newer; Debian 12 has (in main, since 12.8)." >&2
        exit 1
    fi
fi
echo "Installing:$missing"
$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
