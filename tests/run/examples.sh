#!/bin/sh
# Runs the newcomer's programs as a newcomer would, from another folder, and checks what they say and leave behind.
#
#     sh tests/run/examples.sh BUILD
#
# Ends with `# N passed, N failed, 0 skipped`.
set -u
build=$(cd "$1" && pwd)
tree=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
passed=0 failed=0

# check WHAT COMMAND...: one test.
check()
{
    what=$1; shift
    if "$@" >"$work/output" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n  %s\n' "$what" "$*"
        sed 's/^/    /' "$work/output"
    fi
}

listing() { (cd "$tree" && find examples -type f | sort | xargs cksum); }

# has FILE REGEX: a line matches.
has() { grep -Eq "$2" "$1" || { cat "$1"; echo "no line matches: $2"; return 1; }; }

small_program()
{
    cd "$work" && cp "$tree"/examples/small/* . &&
    "$build/driver/cnetc" xor.cnet && "$build/driver/cnetc" balance.cnet &&
    cc -std=c99 -O1 -Wall -Wextra -pedantic -Werror main.c xor.o balance.o -o small && ./small >small.txt
}

spoiled_input() { printf '3 0 0 99\n' | "$work/digits" /dev/stdin; test $? = 1; }

digits_program()
{
    cd "$work" && cp "$tree"/examples/digits/* . && "$build/driver/cnetc" digits.cnet &&
    cc -std=c99 -O1 -Wall -Wextra -pedantic -Werror main.c digits.o -o digits && ./digits test.txt >digits.txt
}

memorizer_program()
{
    mkdir "$work/memorizer" && cd "$work/memorizer" && cp "$tree"/examples/memorizer/* . && "$build/driver/cnetc" category.cnet &&
    cc -std=c99 -O1 -Wall -Wextra -pedantic -Werror main.c category.o -o category && ./category --check categories.csv
}

listing >"$work/before"
cd / || exit 1
check "quickstart.sh runs from another folder" sh -c "CNET_BUILD='$build' sh '$tree/examples/quickstart.sh' >'$work/quickstart.txt' 2>&1 \
    || { cat '$work/quickstart.txt'; exit 1; }"
check "its program reads 97 of 100 digits or more" has "$work/quickstart.txt" 'of 450 pictures right: (9[789]\.[0-9]+|100\.00) %'
check "it shows the operations counted" has "$work/quickstart.txt" 'operations for a picture: [0-9]+ at least'
check "small: two networks in one program" small_program
check "small: xor of 1 and 0" has "$work/small.txt" '^xor\(1, 0\) = 1$'
check "small: xor of 1 and 1" has "$work/small.txt" '^xor\(1, 1\) = 0$'
check "small: the pendulum is upright after 3 s" has "$work/small.txt" '^t = 3\.0 s   angle [- ]0\.000'
check "digits: without --count-ops" digits_program
check "digits: as many right as with it" sh -c "grep -Fq \"\$(grep -o '[0-9]* of.*pictures right.*' '$work/quickstart.txt')\" '$work/digits.txt'"
check "digits: bad input is refused" spoiled_input
check "memorizer: every code point has its category" memorizer_program
listing >"$work/after"
check "nothing was left in examples/" cmp "$work/before" "$work/after"

echo "# $passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
