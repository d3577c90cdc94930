#!/bin/sh
# The command line as scripts see it: exit statuses, files written or not, reproducible bytes, streams.
#
#     sh tests/run/driver.sh BUILD
#
# Ends with `# N passed, N failed, N skipped`.
set -u
build=$(cd "$1" && pwd)
tree=$(cd "$(dirname "$0")/../.." && pwd)
PATH=$build/driver:$PATH
NO_COLOR=1
export PATH NO_COLOR
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
passed=0 failed=0 skipped=0
cd "$work" || exit 1
cp "$tree"/examples/small/*.cnet "$tree"/examples/digits/digits.cnet "$tree"/examples/digits/digits.npz .
printf '0,0\n0,1\n1,0\n1,1\n' >xor.csv
printf 'network bad(x: f32[2]) -> f32[2] { x + nothing }\n' >bad.cnet

# check WHAT SCRIPT: one test, a line of sh run in a folder of its own that holds the examples.
check()
{
    rm -rf "$work/box" && mkdir "$work/box" && cp ./*.cnet ./*.npz ./*.csv "$work/box"
    if (cd "$work/box" && sh -c "$2") >"$work/output" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n  %s\n' "$1" "$2"
        sed 's/^/    /' "$work/output"
    fi
}

check "an object and a header appear beside the source" \
    'cnetc xor.cnet && test -s xor.o && test -s xor.h && test "$(ls | wc -l)" = $(($(ls *.cnet *.npz *.csv | wc -l) + 2))'
check "nothing is said when all is fine" 'test -z "$(cnetc xor.cnet 2>&1)"'
check "-o and --header name the outputs" 'mkdir out && cnetc xor.cnet -o out/a.o --header=out/b.h && test -s out/a.o && test -s out/b.h && ! test -e xor.o'
check "a wrong input is status 1, a message with file, line and column, and no output" \
    'cnetc bad.cnet 2>err; test $? = 1 && grep -q "^bad.cnet:1:4[0-9]: error: " err && ! test -e bad.o && ! test -e bad.h'
check "an output that stood there before survives a failed run" 'echo old >bad.o; ! cnetc bad.cnet && test "$(cat bad.o)" = old'
check "a missing file is status 1" 'cnetc absent.cnet 2>err; test $? = 1 && grep -q "absent.cnet" err'
check "a folder that is not there is status 1" 'cnetc xor.cnet -o no/such/xor.o 2>err; test $? = 1 && grep -q "no/such" err'
check "an unknown option is status 2" 'cnetc --no-such-option xor.cnet 2>err; test $? = 2 && grep -q -- --no-such-option err'
check "no input is status 2" 'cnetc 2>err; test $? = 2 && test -s err'
check "two inputs are status 2" 'cnetc xor.cnet balance.cnet; test $? = 2'
check "--help and --version go to standard output" 'cnetc --help 2>err | grep -q -- --emit && cnetc --version 2>>err | grep -q "^cnetc [0-9]" && ! test -s err'
check "options may come from a file" 'printf -- "-O0 --emit=ir\n-o out.cnir" >args && cnetc @args xor.cnet && test -s out.cnir'
check "the same input gives the same bytes, from any folder" \
    'cnetc digits.cnet && mkdir a && cp digits.cnet digits.npz a && (cd a && cnetc digits.cnet) && (cd / && cnetc "$OLDPWD/digits.cnet" -o "$OLDPWD/c.o") &&
     cmp digits.o a/digits.o && cmp digits.h a/digits.h && cmp digits.o c.o && cmp digits.h c.h'
check "the clock and the time zone are not in the output" 'cnetc xor.cnet && mv xor.o 1.o && SOURCE_DATE_EPOCH=1 TZ=Asia/Tokyo cnetc xor.cnet && cmp 1.o xor.o'
check "no absolute path is in the output" \
    'cnetc "$PWD/digits.cnet" && ! grep -q "$PWD" digits.o && ! grep -q "$PWD" digits.h && cnetc xor.cnet --profile="$PWD/xor.csv" && ! grep -q "$PWD" xor.o && ! grep -q "$PWD" xor.h'
check "-MD writes the files that were read" 'cnetc -MD digits.cnet && cat *.d && grep -q digits.npz digits*.d && grep -q "^digits.o:" digits*.d'
check "-MD names tables of data" 'cp '"$tree"'/examples/small/postage.* . && cnetc -MD postage.cnet && grep -q postage.csv postage.d'
check "-MF says where" 'cnetc -MD -MF deps digits.cnet && grep -q digits.npz deps'
check "-S is assembly, --emit=bc bitcode" 'cnetc -S xor.cnet && grep -q xor_eval xor.s && cnetc --emit=bc xor.cnet && test "$(head -c 2 xor.bc)" = BC'
check "--emit=llvm has the function" 'cnetc --emit=llvm xor.cnet -o - | grep -q "^@xor_eval = .*alias\|^define .*@xor_eval("'
check "--emit=shared is a shared object" 'cnetc --emit=shared xor.cnet -o libxor.so && nm -D libxor.so | grep -q " T xor_eval$"'
check "--emit=static is an archive" 'cnetc --emit=static xor.cnet -o libxor.a && ar t libxor.a | grep -q "\.o$"'
check "--emit=dot is a graph" 'cnetc --emit=dot xor.cnet | grep -q "^digraph"'
check "--emit=ir goes to standard output when no file is named, and reads back" \
    'cnetc --emit=ir xor.cnet >a.cnir && cnetc --passes= --emit=ir a.cnir >b.cnir && cmp a.cnir b.cnir && test "$(ls *.cnir* | wc -l)" = 2'
check "--prefix begins every symbol" 'cnetc --prefix=my_ xor.cnet && nm xor.o | grep " [TDRB] " >syms; ! grep -v " my_" syms && grep -q my_xor_eval xor.h'
check "run answers as .csv on standard output" 'test "$(cnetc run xor.cnet --input=xor.csv | tr -d "\r" | paste -sd" ")" = "0 1 1 0"'
check "run reads standard input" 'test "$(cnetc run xor.cnet --input=- <xor.csv | paste -sd" ")" = "0 1 1 0"'
check "run says which row is wrong" 'printf "0,0\n0,x\n" >e.csv; cnetc run xor.cnet --input=e.csv 2>err; test $? = 1 && cat err && grep -q "e.csv:2" err'
check "the interpreter answers the same" 'cnetc run balance.cnet --input=xor.csv >a && cnetc run balance.cnet --input=xor.csv --engine=interp >b && cmp a b'
check "every x86-64 level this machine has answers the same" \
    'cnetc run digits.cnet --input='"$tree"'/examples/digits/test_x.npy --engine=interp >a
     for level in v1 v2 v3 v4; do cnetc run digits.cnet --input='"$tree"'/examples/digits/test_x.npy --isa=$level >b 2>err || { grep -q "v[1-4]" err && continue; exit 1; }; cmp a b || exit 1; done; test -s b'
check "--ops=json is one JSON object on standard output" \
    'cnetc run xor.cnet --input=xor.csv --output=y.npy --ops=json >ops && grep -q format_version ops && python3 -c "import json; json.load(open(\"ops\"))"'
check "run into a closed pipe ends by the pipe's signal or with status 1" \
    '{ cnetc run xor.cnet --input=xor.csv; echo $? >status; } | true; s=$(cat status); test "$s" = 0 || test "$s" = 1 || test "$s" = 141'
check "verify finds no difference" 'cnetc verify balance.cnet && cnetc verify digits.cnet --samples=50'
check "a key that is in no table is refused, and no box is blamed" \
    'printf "1,10\n2,20\n" >t.csv; printf "1\n3\n" >x.csv
     { echo "data t = \"t.csv\" { input: 0; label: 1; }"; echo "network n(x: i32) -> i32 = memorize(t, method: conditional, unseen: refuse);"; } >n.cnet
     cnetc run n.cnet --input=x.csv >y.csv 2>err && grep -q "1 of 2 rows were refused (the first is row 2)" err'
check "verify of a dump: its own policy is what is compared" \
    'cnetc balance.cnet --emit=ir -o dump.cnir && cnetc verify dump.cnir --samples=50 &&
     cnetc balance.cnet --outside=status -O0 --emit=ir -o dump.cnir && cnetc verify dump.cnir --samples=50'
check "verify proves the leaves of a dump against its source" \
    'cp '"$tree"'/tests/run/hat*.cnir . && cnetc verify hat.cnir --compiled=hat_leaves.cnir >out && { grep -q "^3 of 3 leaves proven" out || grep -q "built without GMP" out; }'
check "a dump in which one number is wrong is refused: a leaf's slot, a cut, a weight, a bias, what is certified" \
    'cp '"$tree"'/tests/run/hat*.cnir .
     for edit in "s/0:0, 1:0, 0:1/0:1, 1:0, 0:0/" "s/1065353216/1082130432/" "s/\[\[\[1\]\]\]/[[[1.0001]]]/" "s/\[1, -0.5\]/[1, -0.49]/" "s/\[-2\]\]/[-2.001]]/"; do
         sed "$edit" hat_leaves.cnir >wrong.cnir; cmp -s hat_leaves.cnir wrong.cnir && exit 1
         cnetc verify hat.cnir --compiled=wrong.cnir 2>err; test $? = 1 && grep -q "^cnetc: error: " err || exit 1
     done
     ! cnetc verify hat.cnir --compiled=hat_leaves.cnir | grep -q "3 of 3" ||
     { cnetc verify hat.cnir --compiled=wrong.cnir --samples=0 2>err; grep -q "the worst input found there is" err; }'
check "a dump with another box than its source is refused" \
    'cp '"$tree"'/tests/run/hat*.cnir . && sed "/^const @box/s/4/8/g" hat_leaves.cnir >wide.cnir && ! cnetc verify hat.cnir --compiled=wide.cnir 2>err && grep -q "another box" err'
check "a leaf that overflows on the way is not proven, however right it is in real arithmetic" \
    'cp '"$tree"'/tests/run/identity*.cnir . && cnetc verify identity.cnir --compiled=identity_leaves.cnir --samples=0 >out &&
     { ! grep -q "^2 of 2 leaves proven" out || { sed "s/p+60/p+127/g; s/p-60/p-127/g" identity_leaves.cnir >wrong.cnir
       ! cnetc verify identity.cnir --compiled=wrong.cnir --samples=0 2>err && grep -q "leaf 0:0" err; }; }'
check "leaves behind a clamp are proven, too" \
    'cp '"$tree"'/examples/closed_loop/controller.* . && cnetc verify controller.cnet --numerics=real --leaves=32 --outside=clamp --samples=20 >out &&
     { grep -q "^32 of 32 leaves proven" out || grep -q "built without GMP" out; }'
check "leaves that join many parts are proven by halving them often" \
    'cp '"$tree"'/tests/run/joined.cnet . && cnetc verify joined.cnet --numerics=real --result=argmin --leaves=1024 --outside=promise --samples=20 >out &&
     { grep -Eq "^([0-9]+) of \1 leaves proven" out || grep -q "built without GMP" out; }'
check "of a tree --ops shows an input that costs as much as the bound, or nearly" \
    'cp '"$tree"'/tests/run/hat*.cnir . && echo 1 >x.csv && cnetc run hat_leaves.cnir --input=x.csv --ops | grep -q "^worst found .*: the bound is reached" &&
     cnetc run hat_leaves.cnir --input=x.csv --ops=json >ops && python3 -c "import json; d = json.load(open(\"ops\")); assert d[\"worst_found\"][\"total\"] <= d[\"bound_ops\"][\"total\"] and len(d[\"worst_input\"]) == 1"'
check "a dump of another network is refused" 'cp '"$tree"'/tests/run/hat*.cnir . && ! cnetc verify hat.cnir --compiled=xor.cnet 2>err && grep -q "other inputs or outputs" err'
check "verify looks up the keys of a table" 'cp '"$tree"'/examples/small/postage.* . && cnetc verify postage.cnet | grep -q "rows of the data.s own keys"'
check "verify against a file finds one" 'printf "0\n1\n1\n9\n" >y.csv; cnetc verify xor.cnet --input=xor.csv --against=y.csv; test $? = 1'
check "verify against a file agrees" 'printf "0\n1\n1\n0\n" >y.csv; cnetc verify xor.cnet --input=xor.csv --against=y.csv'
check "a profile says what is likely, and changes no answer" \
    'awk "BEGIN { for (i = 0; i < 40; i++) printf \"%s0.5\", i ? \",\" : \"\"; print \"\" }" >ones.csv && sed "s/0.5/0/2g" ones.csv >zeros.csv && cat ones.csv zeros.csv >both.csv
    { echo "format_version 1"; sed "s/0.5/1/g; s/.*/const @W : f32[2,40] = [[&], [&]]/" ones.csv; echo "network @n(%x: f32[40]) -> (y: f32[2]) {"
      echo "%y = affine %x, @W : f32[2]"; echo "return %y"; echo "}"; } >n.cnir
    ! cnetc n.cnir --emit=ir | grep -q active && ! cnetc n.cnir --profile=ones.csv --emit=ir | grep -q active &&
    cnetc n.cnir --profile=zeros.csv --emit=ir | grep -q "active %x, pred = nonzero" &&
    cnetc run n.cnir --input=both.csv >a && cnetc run n.cnir --profile=x=zeros.csv --input=both.csv >b && cmp a b && test "$(paste -sd" " a)" = "20,20 0.5,0.5"'
check "a profile is among the files that were read" 'cnetc -MD -MF deps xor.cnet --profile=xor.csv && grep -q xor.csv deps'
check "report is a page" 'cnetc report balance.cnet -o r.html && grep -qi "</html>" r.html'
check "--max-ops is a budget" 'cnetc --max-ops=1000 xor.cnet && ! cnetc --max-ops=3 xor.cnet 2>err && grep -q max-ops err'
check "--max-bytes is a budget" '! cnetc --max-bytes=1K digits.cnet 2>err && grep -q max-bytes err && ! test -e digits.o'
check "diagnostics as JSON" 'cnetc --diagnostics=json bad.cnet 2>err; python3 -c "
import json
said = [json.loads(line) for line in open(\"err\") if line.strip()]
assert said, said"'
check "colours are asked for or absent" 'cnetc --color=always bad.cnet 2>a; cnetc bad.cnet 2>b; grep -q "$(printf "\033")" a && ! grep -q "$(printf "\033")" b'
check "-Werror leaves a clean file alone" 'cnetc -Werror xor.cnet && test -s xor.o'
check "imports of its own text: an exported network answers the same" \
    'cnetc import balance.cnet -o other.cnet && cnetc run balance.cnet --input=xor.csv >a && cnetc run other.cnet --input=xor.csv >b && cmp a b'
check "--print-after shows the IR on standard error" 'cnetc --print-after=all xor.cnet 2>err && grep -q "^network" err'
check "--print-passes lists passes and levels" 'cnetc --print-passes | grep -q "^dead-code" && cnetc --print-passes | grep -q "^-O2:"'
check "an unknown pass is named" 'cnetc --passes=no-such xor.cnet 2>err; test $? != 0 && grep -q no-such err'
check "output of one target on another machine: an object for arm64" 'cnetc --target=aarch64-linux-gnu xor.cnet && test -s xor.o'
check "several outputs appear together or not at all" 'printf "network two(x: f32[2]) -> (a: f32[2], b: f32[2]) { (x, x + 1) }" >two.cnet
    cnetc run two.cnet --input=xor.csv --output=a=a.csv --output=b=b.csv && test -s a.csv && test -s b.csv && rm a.csv b.csv
    ! cnetc run two.cnet --input=xor.csv --output=a=a.csv --output=b=no/such/b.csv && ! test -e a.csv'
check "a warning that is an error leaves no output" \
    'printf "9,9\n" >far.csv; ! cnetc run -Werror xor.cnet --input=far.csv --output=y.csv 2>err && grep -q outside err && ! test -e y.csv'
check "the command line overrides the file, with defaults too" \
    'printf "network n(x: f32[2] within (0 to 1)) -> f32[2] options(numerics: real, outside: clamp, contract: fma) { x }" >n.cnet
    cnetc n.cnet --numerics=exact --outside=dense --fp-contract=off --emit=ir >ir && ! grep -q options ir && cnetc n.cnet --emit=ir | grep -q "contract = fma"'
check "budgets hold for every network of a file" \
    'printf "network big(x: f32[2]) -> f32[2] { [[1, 2], [3, 4]] @ x } network small(x: f32[2]) -> f32[2] { x + 1 }" >both.cnet
    ! cnetc both.cnet --max-ops=4 2>err && grep -q "big" err && cnetc run both.cnet --network=small --max-ops=4 --input=xor.csv'
check "a network that is part of others has no evaluator" \
    'printf "network part(x: f32[2]) -> f32[2] { x + 1 } network whole(x: f32[2]) -> f32[2] { part(x) }" >p.cnet
    ! cnetc run p.cnet --network=part --input=xor.csv 2>err && grep -q "part of others" err && cnetc run p.cnet --input=xor.csv'
check "verify and run do not pretend to evaluate code for another machine" \
    '! cnetc verify xor.cnet --target=aarch64-linux-gnu 2>err && grep -q "another machine" err'
check "an interrupt during a long compile takes effect and leaves nothing" \
    'echo "network q(x: f32[64]) -> f32[64] { let h = x; for i in 1 to 3000 { let h = relu(h + i); } h }" >q.cnet; ls >before
    TMPDIR=$PWD cnetc --emit=shared q.cnet & p=$!; sleep 1; kill $p; wait $p; test $? = 143 && ls >after && echo after >>before && sort -o before before && cmp before after'
check "libraries hold the object under its own name" 'cnetc --emit=static xor.cnet && test "$(ar t xor.a)" = xor.o && cnetc --emit=shared xor.cnet && nm -D xor.so | grep -q " T xor_eval$" && ! cnetc --emit=static xor.cnet -o - 2>err'
check "an output never takes the place of an input" \
    'cp xor.cnet keep; ln -s xor.cnet link.cnet; mkdir d
    for args in "-o xor.cnet" "--emit=ir -o d/../xor.cnet" "--header=xor.cnet -o x.o" "-MD -MF xor.cnet" "-o link.cnet"; do
        cnetc xor.cnet $args 2>err; test $? = 1 && grep -q "is an input" err && cmp xor.cnet keep || exit 1
    done
    cp digits.npz keep; ! cnetc digits.cnet -o digits.npz 2>err && cmp digits.npz keep && ! cnetc report xor.cnet -o xor.cnet 2>err'
check "outputs of one run have names of their own" '! cnetc xor.cnet -o x.o --header=x.o 2>err && grep -q "two outputs" err && ! test -e x.o'
check "code that promises a box policy has its guard" '! cnetc balance.cnet --passes=dead-code 2>err && grep -q guard err && ! test -e balance.o'
check "a budget of nothing is one" '! cnetc xor.cnet --max-ops=0 2>err'
check "-MD names the rule after the object" 'cnetc -MD xor.cnet && test "$(head -n 1 xor.d)" = "xor.o: \\" && grep -q xor.cnet xor.d'
check "a prefix that begins no C identifier is status 2" 'cnetc xor.cnet --prefix=a-b 2>err; test $? = 2 && grep -q a-b err'
check "a label far behind its search" "awk -f '$tree/tests/run/far_label.awk' >far.cnir && cnetc verify far.cnir"
check "a program compiles in process, calls and frees" \
    'test "$('"$build"'/tests/embed balance.cnet 0.5 0 | tail -n 1)" = "status 0, 16 operations"'
if [ "$(id -u)" != 0 ]; then
    check "a folder that must not be written is status 1" 'mkdir ro && chmod 500 ro && ! cnetc xor.cnet -o ro/xor.o 2>err && grep -q ro/xor.o err'
else
    echo "skipped: unwritable folders (root writes everywhere)"
    skipped=$((skipped + 1))
fi
check "a full device is status 1" 'cnetc --emit=ir xor.cnet -o - >/dev/full 2>err; test $? = 1'

echo "# $passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
