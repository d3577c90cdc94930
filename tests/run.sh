#!/bin/sh
# Builds cnet and runs every test.
#
#     sh tests/run.sh                  # everything, on a fresh Debian machine too: it installs what is missing
#     sh tests/run.sh unit ir          # only these stages:
#
#     unit        tests/unit: the CUnit program                       ir      tests/ir: what each pass makes of the IR
#     diag        tests/diag: bad input and its whole message         driver  tests/run/driver.sh: the command line
#     docs        every README's programs and commands                examples  the newcomer's programs, from another folder
#     nets        real networks: values, bits, counts, text           abi     tests/run/abi: objects in C and C++ programs
#     tables      tables of data, compared with Python        memorize  every label of memorized points
#     split       trees of leaves beside the networks they were made of
#     conformance ONNX's own models of its operators              replay  saved inputs of the fuzzers
#     asan        unit, ir, diag, driver, nets, tables and replay again in build-asan/, under AddressSanitizer and UBSan
#
# Builds into build/ and build-asan/ (CNET_BUILD=DIR: DIR/ and DIR-asan/). The last line counts what passed, failed and was
# skipped; any failure is shown with its command, and the exit status is then 1. Each stage's output is also in <build>/tests/log/.
set -u
cd "$(dirname "$0")/.." || exit 1
tree=$PWD
build=${CNET_BUILD:-$tree/build}
all='unit ir diag driver docs examples nets tables memorize split abi conformance replay asan'
stages=${*:-$all}
for stage in $stages; do
    case " $all " in *" $stage "*) ;; *) echo "no stage \`$stage\`; there are: $all" >&2; exit 2 ;; esac
done

sh tests/install-packages.sh || exit 1

# Debian's own python3 has python3-numpy; another one may come first in PATH.
python=
for candidate in /usr/bin/python3 python3; do
    if "$candidate" -c 'import numpy' 2>/dev/null; then python=$candidate; break; fi
done
if [ -z "$python" ]; then echo "no python3 with numpy: install python3-numpy" >&2; exit 1; fi

wanted() { case " $stages " in *" $1 "*) ;; *) return 1 ;; esac; }

# configure DIR OPTIONS...: sets up or reuses a build folder; meson's chatter is shown only when it fails.
configure()
{
    folder=$1; shift
    mkdir -p "$folder" || return 1
    if [ -f "$folder/build.ninja" ]; then return 0; fi
    rm -rf "$folder/meson-private" "$folder/meson-info"
    meson setup "$folder" "$tree" "$@" >"$folder/setup.log" 2>&1 || { cat "$folder/setup.log"; return 1; }
}

# errors LOG: of a build's log what went wrong, without the long command lines.
errors() { [ ! -f "$1" ] || sed -n '/^FAILED/,$p' "$1" | grep -v '^\[' | cut -c 1-400 | tail -n 100; }

passed=0 failed=0 skipped=0

# stage NAME DIR COMMAND...: runs it, shows `NAME: N passed …`, and on failure what it printed. Counts come from a last line
# `# N passed, N failed, N skipped`; for CUnit's program from its table, else the exit status counts as one test.
stage()
{
    name=$1; log=$2/tests/log/$1.txt; shift 2
    mkdir -p "$(dirname "$log")"
    start=$(date +%s)
    "$@" >"$log" 2>&1
    status=$?
    counts=$(sed -n 's/^# \([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$log" | tail -n 1)
    if [ -z "$counts" ]; then
        counts=$(awk '$1 == "tests" && NF >= 5 { print $4, $5, 0 }' "$log" | tail -n 1)
    fi
    if [ -z "$counts" ]; then
        if [ $status = 0 ]; then counts='1 0 0'; else counts='0 1 0'; fi
    fi
    # shellcheck disable=SC2086
    set -- "$*" $counts
    if [ $status != 0 ] && [ "$3" = 0 ]; then set -- "$1" "$2" 1 "$4"; fi
    printf '%-11s %5d passed %4d failed %3d skipped   (%d s)\n' "$name" "$2" "$3" "$4" $(($(date +%s) - start))
    if [ $status != 0 ] || [ "$3" != 0 ]; then
        printf 'FAILED (status %d): %s\n' "$status" "$1"
        tail -n 200 "$log" | sed 's/^/    /'
    elif grep -q '^skipped' "$log"; then
        grep '^skipped' "$log" | sed 's/^/    /'
    fi
    passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
}

# replay DIR: every program of the fuzzers over its saved corpus; one run is one test.
replay()
{
    good=0 bad=0 none=0
    for program in "$1"/tests/replay-*; do
        case $program in *.p | *'*') continue ;; esac
        if ! { [ -x "$program" ] && [ -f "$program" ]; }; then continue; fi
        target=${program##*/replay-}
        corpus=$tree/tests/fuzz/corpus/$target
        if [ ! -d "$corpus" ]; then echo "skipped: no corpus for $target"; none=$((none + 1)); continue; fi
        if timeout 600 "$program" "$corpus" >"$1/tests/log/replay-$target.txt" 2>&1; then
            good=$((good + 1))
        else
            bad=$((bad + 1))
            echo "FAIL $program $corpus"
            tail -n 40 "$1/tests/log/replay-$target.txt"
        fi
    done
    if [ $((good + bad)) = 0 ]; then echo "FAIL no replay programs in $1/tests"; bad=1; fi
    echo "# $good passed, $bad failed, $none skipped"
    [ $bad = 0 ]
}

echo "cnet in $tree: building into $build"
configure "$build" || exit 1
ninja -C "$build" >"$build/ninja.log" 2>&1 || { errors "$build/ninja.log"; echo "the build failed: ninja -C $build"; exit 1; }
cnetc=$build/driver/cnetc

# The sanitized build goes on behind the first stages.
asan=$build-asan
asan_job=
if wanted asan; then
    (configure "$asan" -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized \
        '-Dc_args=-fno-sanitize-recover=all -fno-omit-frame-pointer' \
        && nice ninja -j1 -C "$asan" >"$asan/ninja.log" 2>&1) &
    asan_job=$!
fi

wanted unit     && stage unit "$build" "$build/tests/unit-tests"
wanted ir       && stage ir "$build" "$python" tests/golden.py ir "--cnetc=$cnetc"
wanted diag     && stage diag "$build" "$python" tests/golden.py diag "--cnetc=$cnetc"
wanted driver   && stage driver "$build" sh tests/run/driver.sh "$build"
wanted docs     && stage docs "$build" "$python" tests/docs.py "--cnetc=$cnetc"
wanted examples && stage examples "$build" sh tests/run/examples.sh "$build"
wanted nets     && stage nets "$build" "$python" tests/nets.py "--cnetc=$cnetc"
wanted tables   && stage tables "$build" "$python" tests/tables.py "--cnetc=$cnetc"
wanted split && stage split "$build" "$python" tests/split.py "--cnetc=$cnetc"
wanted memorize && stage memorize "$build" "$python" tests/memorize.py "--cnetc=$cnetc"
wanted abi      && stage abi "$build" sh tests/run/abi/run.sh "$build"
wanted conformance && stage conformance "$build" "$python" tests/conformance.py "--cnetc=$cnetc"
wanted replay   && stage replay "$build" replay "$build"

if wanted asan; then
    if ! wait $asan_job; then
        errors "$asan/ninja.log"
        echo "FAILED: the sanitized build: ninja -C $asan"
        failed=$((failed + 1))
    else
        # GCC 12's leak checker guesses what lies before a block of dynamic TLS: where its address is a page and 16, it takes
        # the bytes there for a header, reads from a wild address and ends with "Tracer caught signal 11". Without the guess it does not.
        ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:allocator_may_return_null=1:intercept_tls_get_addr=0
        UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
        export ASAN_OPTIONS UBSAN_OPTIONS
        stage asan-unit "$asan" "$asan/tests/unit-tests"
        stage asan-ir "$asan" "$python" tests/golden.py ir "--cnetc=$asan/driver/cnetc"
        stage asan-diag "$asan" "$python" tests/golden.py diag "--cnetc=$asan/driver/cnetc"
        stage asan-driver "$asan" sh tests/run/driver.sh "$asan"
        stage asan-nets "$asan" "$python" tests/nets.py --quick "--cnetc=$asan/driver/cnetc"
        stage asan-tables "$asan" "$python" tests/tables.py --tables=60 --seed=2 "--cnetc=$asan/driver/cnetc"
        stage asan-replay "$asan" replay "$asan"
    fi
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
