#!/bin/sh
# From nothing to a C program that reads handwritten digits: builds cnet, compiles a trained network, links it, runs it.
#
#     sh examples/quickstart.sh
#
# Enough on a fresh Debian machine (12 or newer): it first installs what is missing, with apt-get (and sudo when you are not
# root). Builds cnet into build/ (CNET_BUILD=DIR: there); the example itself is built in a temporary folder that is removed
# at the end. Running it again builds only what changed.
set -eu
tree=$(cd "$(dirname "$0")/.." && pwd)
build=${CNET_BUILD:-$tree/build}
example=$tree/examples/digits

step() { printf '\n=== %s\n' "$*"; }
indented() { cut -c 1-130 | sed 's/^/    /'; }

# Prints a command, runs it, prints what it said; ends the script when it fails.
show()
{
    printf '    $ %s\n' "$*"
    if "$@" >"$work/said" 2>&1; then indented <"$work/said"; else indented <"$work/said"; exit 1; fi
}


step "1. What is needed from Debian"
sh "$tree/tests/install-packages.sh" build
echo "    all there"

step "2. Building the compiler into $build"
mkdir -p "$build"
if [ ! -f "$build/build.ninja" ]; then
    meson setup "$build" "$tree" >"$build/setup.log" 2>&1 || { cat "$build/setup.log"; exit 1; }
fi
ninja -C "$build" driver/cnetc libcnet-llvm.so >"$build/ninja.log" 2>&1 || { tail -n 60 "$build/ninja.log"; exit 1; }
PATH=$build/driver:$PATH
cnetc --version | indented

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cp "$example/digits.cnet" "$example/digits.npz" "$example/test.txt" "$example/test_x.npy" "$example/main.c" "$work"
cd "$work"

step "3. The network: trained weights from digits.npz, and the formula that uses them"
sed -n '/^weights/,$p' digits.cnet | indented

step "4. What the compiler makes of it: its intermediate representation (big constants are shown by shape and hash)"
show cnetc digits.cnet --emit=ir

step "5. How many operations an evaluation takes, counted while it runs on 450 pictures"
show cnetc run digits.cnet --input test_x.npy --output digits.csv --ops

step "6. An object and a C header, linked into a C program"
show cnetc digits.cnet --count-ops
show cc -O2 -Wall -Wextra -pedantic main.c digits.o -o digits
echo "    The call, in main.c:"
grep -n 'digits_eval(' main.c | indented

step "7. The program reads pictures that the network was not trained on"
show ./digits test.txt

step "Next"
cat <<TEXT
    README.md               what cnet is for, and the map of this tree
    examples/digits/        the network above: its source, how it was trained, the C program
    $build/driver/cnetc --help
    sh tests/run.sh         every test
TEXT
