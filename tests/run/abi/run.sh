#!/bin/sh
# Objects and headers in the hands of an application: C and C++ compilers with every warning an error, two and three
# networks linked together, threads, misaligned memory, scratch, every CPU level, a foreign architecture under qemu.
#
#     sh tests/run/abi/run.sh BUILD          (CNETC=PATH: another cnetc; CC, CXX: other compilers)
#
# Ends with `# N passed, N failed, N skipped`.
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../../.." && pwd)
cnetc=${CNETC:-$build/driver/cnetc}
cc=${CC:-cc} cxx=${CXX:-c++}
strict='-Wall -Wextra -pedantic -Werror'
python=/usr/bin/python3
[ -x "$python" ] || python=python3
NO_COLOR=1
export NO_COLOR
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work" || exit 1
passed=0 failed=0 skipped=0

pass() { passed=$((passed + 1)); }
skip() { skipped=$((skipped + 1)); echo "SKIP $1: $2"; }

# check WHAT COMMAND...: one test; what it printed is shown when it fails.
check()
{
    what=$1; shift
    if "$@" >output 2>&1; then
        pass
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n' "$what"
        sed 's/^/  /' output | head -n 20
    fi
}

compile() { "$cnetc" -O0 "$@"; }
has() { command -v "$1" >/dev/null 2>&1; }

# Nothing undefined: the object needs no library at all.
alone() { [ -z "$(nm -u "$1")" ] || { nm -u "$1"; false; }; }

# ---- the networks ----

"$python" "$here/wide.py" >wide.cnir || exit 1
"$python" "$here/block.py" >block.cnir || exit 1
check 'compile three' compile --count-ops "$here/three.cnir" -o three.o --header=three.h
check 'compile scaled' compile "$here/scaled.cnir" -o scaled.o --header=scaled.h
check 'compile choice' compile "$here/choice.cnir" -o choice.o --header=choice.h
check 'compile wide with little stack' compile --max-stack=4096 wide.cnir -o wide.o --header=wide.h
check 'the same input, the same bytes' sh -c "'$cnetc' -O0 --count-ops '$here/three.cnir' -o again.o --header=again.h && cmp three.o again.o"
for object in three scaled choice wide; do check "$object.o needs nothing" alone $object.o; done

# ---- applications ----

check 'C99' $cc -std=c99 $strict -I. "$here/use.c" three.o scaled.o choice.o wide.o -o use_c
check 'runs in C' sh -c './use_c >use.txt || { cat use.txt; false; }'
check 'C++11' $cxx -std=c++11 $strict -I. -x c++ "$here/use.c" -x none three.o scaled.o choice.o wide.o -o use_cxx
check 'the same bits in C++' sh -c './use_cxx | diff use.txt -'
check 'position independent' $cc -shared -Wl,-z,text,-z,defs -nostdlib three.o scaled.o choice.o wide.o -o libnets.so
check 'through a shared object' sh -c "$cc -std=c99 -I. '$here/use.c' ./libnets.so -Wl,-rpath,. -o use_so && ./use_so | diff use.txt -"
check 'static' sh -c "$cc -std=c99 -static -I. '$here/use.c' three.o scaled.o choice.o wide.o -o use_static && ./use_static | diff use.txt -"
check 'a prefix' sh -c "'$cnetc' -O0 --prefix=my_ '$here/three.cnir' -o my.o --header=my.h && nm my.o | grep -q ' T my_three_eval\$'"
check 'with a prefix beside the original' sh -c "printf '#include \"my.h\"\n#include \"three.h\"\nint main(void) { float x[3] = {0}, y[2], z[2]; return my_three_eval(x, y) != 0 || three_eval(x, z) != 0 || y[0] != z[0]; }\n' >two.c && $cc -std=c99 $strict -I. two.c my.o three.o -o two && ./two"

check 'an assembler makes the same of -S' sh -c "'$cnetc' -O0 -S --max-stack=4096 wide.cnir -o wide.s --header=wide.h && $cc -c wide.s -o wide_s.o && $cc -std=c99 -I. '$here/use.c' three.o scaled.o choice.o wide_s.o -o use_s && ./use_s | diff use.txt -"

# ---- batches that share weights ----

# batches OPTIONS…: by blocks of inputs, at every level, and the bits of whoever came first.
batches()
{
    "$cnetc" "$@" block.cnir -o block.o --header=block.h && alone block.o &&
        if [ "$(uname -m)" = x86_64 ]; then
            nm block.o | grep -q block_eval_batch_v4 && $cc -std=gnu11 $strict -DLEVELS -I. "$here/batch.c" block.o -o batch
        else
            $cc -std=c99 $strict -I. "$here/batch.c" block.o -o batch
        fi && ./batch >batch.out && { [ -e batch.txt ] || cp batch.out batch.txt; } && cmp batch.txt batch.out || { head -n 1 batch.out; false; }
}
check 'a batch, dense' batches -O0
check 'a batch, columns of what is not zero' batches -O2
check 'a batch on little stack: few inputs at once' batches -O2 --max-stack=8K
check 'a batch on the least stack: one by one' sh -c "'$cnetc' -O2 --max-stack=2K block.cnir -o b1.o --header=block.h && ! nm b1.o | grep -q block_eval_batch_v1 &&
    $cc -std=c99 $strict -I. '$here/batch.c' b1.o -o batch1 && ./batch1 | cmp batch.txt -"
check 'a batch in C++' sh -c "$cxx -std=c++11 $strict -I. -x c++ '$here/batch.c' -x none block.o -o batch_cxx && ./batch_cxx | cmp batch.txt -"
check 'a batch for Cortex-M4' sh -c "'$cnetc' -O2 --target=thumbv7em-none-eabihf --freestanding block.cnir -o m4b.o --header=m4b.h"

# ---- weights that are written into the finished object ----

# late OPTIONS...: the linked object against the interpreter's bits.
late()
{
    levels=; [ "$(uname -m)" != x86_64 ] || levels=-DLEVELS
    "$cnetc" "$@" late.cnir -o late.o --header=late.h && $cc -std=gnu99 $strict $levels -I. "$here/late.c" late.o -o late && ./late x.npy t.npy y.npy z.npy
}
if "$python" "$here/late.py" . && "$cnetc" run --engine=interp -O0 late.cnir --input x=x.npy --input t=t.npy --output y=y.npy --output z=z.npy; then
    check 'weights of the object: those of the interpreter' late -O0
    check 'the same at -O2' late -O2
else
    check 'weights of the object: inputs' false
fi

# ---- names and words of the header ----

# use.c compares the header with the descriptor; budgets ask be_sizes.
for net in three wide choice; do
    source=$here/$net.cnir
    [ $net = wide ] && source=wide.cnir
    bytes=$(sed -n 's/^#define [A-Z]*_MODEL_BYTES \([0-9]*\).*/\1/p' $net.h)
    check "model bytes of $net: header and budget" sh -c "'$cnetc' -O0 --max-bytes=$bytes '$source' -o b.o --header=b.h && ! '$cnetc' -O0 --max-bytes=$((bytes - 1)) '$source' -o b.o --header=b.h"
done

check 'a network called cnet, one called runtime' sh -c "
    sed 's/@three/@cnet/' '$here/three.cnir' >cnet.cnir && sed 's/@three/@runtime/' '$here/three.cnir' >runtime.cnir &&
    '$cnetc' -O0 cnet.cnir -o cnet.o --header=cnet_.h && '$cnetc' -O0 runtime.cnir -o runtime.o --header=runtime.h &&
    printf '#include \"cnet_.h\"\n#include \"runtime.h\"\n#include \"cnet.h\"\nint main(void) { const cnet_network *n = &cnet__network; float x[3] = {0}, y[2]; return n->magic != CNET_MAGIC || cnet__eval(x, y) != 0 || runtime_eval(x, y) != 0; }\n' >names.c &&
    $cc -std=c99 $strict -I. -I'$tree/runtime' names.c cnet.o runtime.o -o names && ./names"
check 'nothing is certified where nothing differs' sh -c "
    sed 's/outside = status/numerics = real/' '$here/three.cnir' >real.cnir && sed 's/outside = status/numerics = real, certified_error = 0x1p-20/' '$here/three.cnir' >bound.cnir &&
    '$cnetc' -O0 real.cnir -o real.o --header=real.h && ! grep Certified real.h && '$cnetc' -O0 bound.cnir -o bound.o --header=bound.h && grep -q 'at most 9.53674316e-07' bound.h"

# ---- output that is no file of its own ----

# after HEADER OPTIONS…: what standard output held stays, and what follows is what a file gets.
after()
{
    (echo HEADER; "$cnetc" -O0 "$@" -o - "$here/three.cnir") >whole && "$cnetc" -O0 "$@" -o by_name "$here/three.cnir" --header=three_.h &&
        [ "$(head -n 1 whole)" = HEADER ] && tail -n +2 whole | cmp - by_name &&
        "$cnetc" -O0 "$@" -o - "$here/three.cnir" | cmp - by_name && { [ ! -e /dev/full ] || ! "$cnetc" -O0 "$@" -o /dev/full "$here/three.cnir"; }
}
check 'assembly after a line' after -S
check 'an object after a line' after -c
check 'LLVM IR after a line' after --emit=llvm
check 'bitcode after a line' after --emit=bc

# ---- freestanding ----

printf 'format_version 1\n\nnetwork @root(%%x: f32[3]) -> (y: f32[3]) {\n    %%y = sqrt %%x : f32[3]\n    return %%y\n}\n' >root.cnir
# needs MISSING OPTIONS…: refused, naming what it would need, and nothing is written.
needs()
{
    missing=$1; shift
    rm -f root.out
    ! "$cnetc" -O0 --freestanding root.cnir -o root.out --header=root.h "$@" 2>said && grep -q "needs \`$missing\`" said && [ ! -e root.out ] || { cat said; false; }
}
check 'sqrtf of a library, object' needs sqrtf --target=thumbv7m-none-eabi
check 'sqrtf of a library, assembly' needs sqrtf --target=thumbv7m-none-eabi -S
check 'sqrtf of a library, LLVM IR' needs sqrtf --target=thumbv7m-none-eabi --emit=llvm
check 'wasm stands alone' sh -c "'$cnetc' -O0 --target=wasm32-unknown-unknown --freestanding root.cnir -o root.wasm.o --header=root.h"

# ---- threads ----

check '8 threads' sh -c "$cc -std=gnu11 $strict -I. '$here/threads.c' three.o scaled.o -pthread -o threads && ./threads"
if printf 'int main(void) { return 0; }\n' >t.c && $cc -fsanitize=thread t.c -o t 2>/dev/null && ./t 2>/dev/null; then
    check '8 threads under ThreadSanitizer' sh -c "$cc -std=gnu11 -fsanitize=thread -I. '$here/threads.c' three.o scaled.o -pthread -o threads_tsan && ./threads_tsan"
else
    skip '8 threads under ThreadSanitizer' "$cc has no working -fsanitize=thread"
fi

# ---- levels and foreign machines ----

if [ "$(uname -m)" = x86_64 ]; then
    check 'every level of this CPU' sh -c "$cc -std=gnu11 $strict -I. '$here/levels.c' three.o -o levels && ./levels"
    check 'fused, where the CPU has it' sh -c "sed 's/outside = status/contract = fma/' '$here/three.cnir' >fma.cnir && '$cnetc' -O0 fma.cnir -o fma.o --header=fma.h && nm fma.o | grep -q _eval_v4 && ! nm fma.o | grep -q _eval_v2"
    if has qemu-x86_64; then
        printf '#include "fma.h"\nint main(void) { float x[3] = {0}, y[2] = {7, 7}; return three_eval(x, y) != CNET_UNSUPPORTED_CPU || three_eval(x, y) != CNET_UNSUPPORTED_CPU || y[0] != 7; }\n' >old.c
        check 'fused, where the CPU has it not: refused' sh -c "$cc -std=c99 $strict -static -I. old.c fma.o -o old && qemu-x86_64 -cpu Nehalem ./old"
    else
        skip 'fused, where the CPU has it not' 'needs qemu-x86_64'
    fi
else
    skip 'every level of this CPU' 'not x86-64'
fi
if has aarch64-linux-gnu-gcc && has qemu-aarch64; then
    check 'aarch64: the same bits under qemu' sh -c "
        mkdir arm && cd arm && cp ../wide.cnir ../use.txt . &&
        '$cnetc' -O0 --target=aarch64-linux-gnu --count-ops '$here/three.cnir' -o a3.o --header=three.h &&
        '$cnetc' -O0 --target=aarch64-linux-gnu '$here/scaled.cnir' -o as.o --header=scaled.h &&
        '$cnetc' -O0 --target=aarch64-linux-gnu '$here/choice.cnir' -o ac.o --header=choice.h &&
        '$cnetc' -O0 --target=aarch64-linux-gnu --max-stack=4096 wide.cnir -o aw.o --header=wide.h &&
        '$cnetc' -O2 --target=aarch64-linux-gnu ../block.cnir -o ab.o --header=block.h &&
        aarch64-linux-gnu-gcc -std=c99 $strict -static -I. '$here/batch.c' ab.o -o batch_arm && qemu-aarch64 ./batch_arm | cmp ../batch.txt - &&
        aarch64-linux-gnu-gcc -std=c99 $strict -static -I. '$here/use.c' a3.o as.o ac.o aw.o -o use_arm && qemu-aarch64 ./use_arm | diff use.txt -"
else
    skip 'aarch64 under qemu' 'needs aarch64-linux-gnu-gcc and qemu-aarch64'
fi
check 'Cortex-M4 needs nothing' sh -c "'$cnetc' -O0 --target=thumbv7em-none-eabihf --freestanding '$here/three.cnir' -o m4.o --header=m4.h"
check 'debug information names the line' sh -c "'$cnetc' -O0 -g '$here/three.cnir' -o g.o --header=g.h && { ! command -v objdump >/dev/null || objdump --dwarf=decodedline g.o | grep -q 'three.cnir'; }"

# ---- a real one ----

nets=$tree/../shared/data/nets
if [ -f "$nets/acasxu_1_1.onnx" ]; then
    check 'compile acasxu_1_1' compile "$nets/acasxu_1_1.onnx" -o acas.o --header=acas.h
    check 'acasxu_1_1.o needs nothing' alone acas.o
    printf '#include "acas.h"\nint main(void) { float x[5] = {0}, y[5]; return acasxu_1_1_eval(x, y); }\n' >acas.c
    check 'acasxu_1_1 in C' sh -c "$cc -std=c99 $strict -I. acas.c acas.o -o acas && ./acas"
    check 'acasxu_1_1 in C++' sh -c "$cxx -std=c++11 $strict -I. -x c++ acas.c -x none acas.o -o acas_cxx && ./acas_cxx"
else
    skip 'acasxu_1_1' '../shared/data/nets is not here'
fi

echo "# $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
