#!/usr/bin/python3
"""Golden tests: what cnetc prints, compared with what is written down beside the input.

    tests/golden.py ir|diag [--cnetc=build/driver/cnetc] [--update] [FILE ...]

ir     tests/ir/PASS/*.cnir: directives in comments; the page tests/ir/README.md defines them. tests/ir/roundtrip/*.cnir: read and
       printed without any pass, each must give its own text again.
diag   tests/diag/*.cnet, *.cnir: bad programs. Their last lines, each beginning `#! `, are the whole expected stderr of
       `cnetc FILE` run in that folder. tests/diag/*.cmd: a shell line that calls "$CNETC"; its stderr is in *.expect.
       Each must exit with status 1 and write nothing: no file, and nothing on stdout.

--update rewrites the expectations (of `diag`, and EXPECT blocks of `ir`) to what cnetc says now: read the diff then.
Ends with `# N passed, N failed, N skipped`; a failure is printed with its command and the difference.
"""
import concurrent.futures
import difflib
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

TESTS = os.path.dirname(os.path.abspath(__file__))
DIRECTIVE = re.compile(r"\s*#\s*(RUN|CHECK|CHECK-NEXT|CHECK-NOT|EXPECT|REMARK|ERROR):\s?(.*)$")
ROUNDTRIP = ["--passes=", "--emit=ir", "--inline-constants", "-o", "-"]
TIMEOUT = 120


class Failure(Exception):
    """A test that failed; the text says how."""


def run(command, cwd, cnetc):
    """(status, stdout, stderr) of a command (a list, or a shell line) with colours off and $CNETC set."""
    env = dict(os.environ, CNETC=cnetc, NO_COLOR="1", LC_ALL="C")
    try:
        done = subprocess.run(command, cwd=cwd, env=env, shell=isinstance(command, str), timeout=TIMEOUT,
                              stdin=subprocess.DEVNULL, capture_output=True)
    except subprocess.TimeoutExpired:
        raise Failure(f"no answer after {TIMEOUT} s") from None
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


# ---- ir -------------------------------------------------------------------------------------------------------------

def squeeze(line):
    return " ".join(line.split())


def read_directives(text):
    """[(word, text, line number)], the text of EXPECT being a list of lines."""
    found, lines, i = [], text.splitlines(), 0
    while i < len(lines):
        match = DIRECTIVE.match(lines[i])
        i += 1
        if not match:
            continue
        word, value, at = match[1], match[2].strip(), i
        if word == "EXPECT":
            value = []
            while i < len(lines) and lines[i].lstrip().startswith("#") and not DIRECTIVE.match(lines[i]):
                value.append(squeeze(lines[i].lstrip()[1:]))
                i += 1
            value = [line for line in value if line]
        found.append((word, value, at))
    return found


def contains(line, pattern):
    """Whether a squeezed line contains the pattern, {{...}} in it being a regular expression."""
    parts = re.split(r"\{\{(.*?)\}\}", squeeze(pattern))
    return re.search("".join(p if i % 2 else re.escape(p) for i, p in enumerate(parts)), line) is not None


def check_lines(directives, lines):
    """Applies CHECK, CHECK-NEXT and CHECK-NOT in order; lines are squeezed, without comments and empty ones."""
    at, forbidden = 0, []                                   # at: the line after the last match

    def forbid(to):
        for text, number in forbidden:
            for line in lines[start:to]:
                if contains(line, text):
                    raise Failure(f"line {number}: CHECK-NOT: {text}\n  found: {line}")
        forbidden.clear()

    start = 0
    for word, text, number in directives:
        if word == "CHECK-NOT":
            forbidden.append((text, number))
        elif word == "CHECK":
            hit = next((i for i in range(at, len(lines)) if contains(lines[i], text)), None)
            if hit is None:
                raise Failure(f"line {number}: CHECK: {text}\n  not found below: "
                              + (lines[at - 1] if at else "(the start)"))
            forbid(hit)
            at = start = hit + 1
        elif word == "CHECK-NEXT":
            if at >= len(lines) or not contains(lines[at], text):
                raise Failure(f"line {number}: CHECK-NEXT: {text}\n  found: "
                              + (lines[at] if at < len(lines) else "(the end)"))
            forbid(at)
            at = start = at + 1
    forbid(len(lines))


def messages(stderr, kind):
    return [squeeze(line.split(kind + ": ", 1)[1]) for line in stderr.splitlines() if kind + ": " in line]


def update_expect(path, text, lines):
    out, source, i = [], text.splitlines(), 0
    while i < len(source):
        out.append(source[i])
        match = DIRECTIVE.match(source[i])
        i += 1
        if match and match[1] == "EXPECT":
            while i < len(source) and source[i].lstrip().startswith("#") and not DIRECTIVE.match(source[i]):
                i += 1
            out += ["#   " + line for line in lines]
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n")


def test_roundtrip(path, text, cnetc):
    status, stdout, stderr = run([cnetc, os.path.basename(path), *ROUNDTRIP], os.path.dirname(path), cnetc)
    wanted = [line for line in text.splitlines() if not line.startswith("#")]
    if status or stdout.splitlines() != wanted:
        raise Failure(f"exit status {status}\n{stderr}" + difference(wanted, stdout.splitlines()))


def test_ir(path, cnetc, update):
    with open(path) as file:
        text = file.read()
    if os.path.basename(os.path.dirname(path)) == "roundtrip":
        test_roundtrip(path, text, cnetc)
        return
    directives = read_directives(text)
    options = [value for word, value, _ in directives if word == "RUN"]
    if len(options) != 1:
        raise Failure("expected one RUN: line")
    if not any(word in ("CHECK", "CHECK-NEXT", "CHECK-NOT", "EXPECT", "REMARK", "ERROR") for word, _, _ in directives):
        raise Failure("nothing is checked")
    command = [cnetc, os.path.basename(path), *shlex.split(options[0]), "--emit=ir", "-o", "-"]
    status, stdout, stderr = run(command, os.path.dirname(path), cnetc)

    errors = [(text, number) for word, text, number in directives if word == "ERROR"]
    if status != (1 if errors else 0):
        raise Failure(f"exit status {status}\n{stderr}")
    if errors and stdout:
        raise Failure("an error, but output too:\n" + stdout)
    for kind, wanted in (("error", errors), ("remark", [(t, n) for w, t, n in directives if w == "REMARK"])):
        said = messages(stderr, kind)
        for pattern, number in wanted:
            if not any(contains(line, pattern) for line in said):
                raise Failure(f"line {number}: {kind.upper()}: {pattern}\n  stderr:\n{stderr}")

    # The ids of sites are left out unless the test is about them: inserting an op elsewhere renumbers them.
    shown = stdout if "!site" in text else re.sub(r" !site\(\d+\)", "", stdout)
    lines = [squeeze(line) for line in shown.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    for word, expected, number in directives:
        if word == "EXPECT" and expected != lines:
            if not update:
                raise Failure(f"line {number}: EXPECT\n" + difference(expected, lines))
            update_expect(path, text, lines)
    try:
        check_lines(directives, lines)
    except Failure as failure:
        raise Failure(f"{failure}\n  output:\n" + "\n".join("    " + line for line in stdout.splitlines())) from None


# ---- diag -----------------------------------------------------------------------------------------------------------

def difference(expected, got):
    return "\n".join(difflib.unified_diff(expected, got, "expected", "got", lineterm="", n=2))


def read_expected(path):
    """The expectation of a bad program and the number of bytes before it."""
    with open(path, "rb") as file:
        data = file.read()
    if path.endswith(".cmd"):
        expect = path[:-4] + ".expect"
        if not os.path.exists(expect):
            return [], len(data)
        with open(expect, errors="replace") as file:
            return file.read().splitlines(), len(data)
    lines = data.split(b"\n")
    if lines and lines[-1] == b"":
        lines.pop()
    first = len(lines)
    while first > 0 and lines[first - 1].startswith(b"#!"):
        first -= 1
    body = sum(len(line) + 1 for line in lines[:first])
    return [line[3:].decode(errors="replace") for line in lines[first:]], min(body, len(data))


def write_expected(path, body, lines):
    if path.endswith(".cmd"):
        with open(path[:-4] + ".expect", "w") as file:
            file.write("".join(line + "\n" for line in lines))
        return
    with open(path, "rb") as file:
        data = file.read()[:body]
    with open(path, "wb") as file:
        file.write(data + (b"" if data.endswith(b"\n") or not data else b"\n"))
        file.write("".join(("#! " + line).rstrip() + "\n" for line in lines).encode())


def test_diag(path, cnetc, update):
    expected, body = read_expected(path)
    if not expected and not update:
        raise Failure("no expected message: write it, or --update and read the diff")
    name = os.path.basename(path)
    # In a copy of the folder: outputs of tests that wrongly succeed stay out of the tree, and each test sees only its own.
    with tempfile.TemporaryDirectory(prefix="cnet-diag-") as scratch:
        folder = os.path.join(scratch, "diag")
        shutil.copytree(os.path.dirname(path), folder, symlinks=True)
        before = set(os.listdir(folder))
        if path.endswith(".cmd"):
            with open(path) as file:
                command = "\n".join(l for l in file.read().splitlines() if not l.startswith("#"))
        else:
            command = [cnetc, name]
        status, stdout, stderr = run(command, folder, cnetc)
        said = stderr.splitlines()
        if status != 1:
            raise Failure(f"exit status {status}, expected 1\n{stderr}")
        # A .cmd may make its own bad input; what cnetc must not leave is an output.
        left = sorted(f for f in set(os.listdir(folder)) - before if re.search(r"\.(o|h|s|ll|bc|so|a|tmp.*)$", f))
        if left:
            raise Failure("left behind: " + " ".join(left))
        if stdout:
            raise Failure("wrote to stdout: " + stdout[:200])
    if [line.rstrip() for line in said] != [line.rstrip() for line in expected]:
        if not update:
            raise Failure(difference(expected, said))
        write_expected(path, body, said)


# ---- both -----------------------------------------------------------------------------------------------------------

def describe_ir(path):
    if "/roundtrip/" in path:
        return f"cnetc {path} {' '.join(ROUNDTRIP)}"
    with open(os.path.join(os.path.dirname(TESTS), path)) as file:
        options = [value for word, value, _ in read_directives(file.read()) if word == "RUN"]
    return f"cnetc {path} {' '.join(options)} --emit=ir -o -"


KINDS = {
    "ir": (test_ir, ["ir/*/*.cnir"], describe_ir),
    "diag": (test_diag, ["diag/*.cnet", "diag/*.cnir", "diag/*.cmd"],
             lambda path: f"cd {os.path.dirname(path)} && " + (f"sh {os.path.basename(path)}" if path.endswith(".cmd")
                                                               else f"cnetc {os.path.basename(path)}")),
}


def main(argv):
    options = [a for a in argv if a.startswith("--")]
    names = [a for a in argv if not a.startswith("--")]
    cnetc = next((o.split("=", 1)[1] for o in options if o.startswith("--cnetc=")),
                 os.path.join(TESTS, "..", "build", "driver", "cnetc"))
    unknown = [o for o in options if o != "--update" and not o.startswith("--cnetc=")]
    if not names or names[0] not in KINDS or unknown:
        print(__doc__, file=sys.stderr)
        return 2
    test, patterns, describe = KINDS[names[0]]
    # What another test includes or reads is named data*.cnet and the like, in tests/diag/data: not a test itself.
    paths = [os.path.abspath(n) for n in names[1:]] or sorted(
        path for pattern in patterns for path in glob.glob(os.path.join(TESTS, pattern)))
    update = "--update" in options

    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(test, path, os.path.abspath(cnetc), update) for path in paths]
        for path, future in zip(paths, futures):
            try:
                future.result()
                passed += 1
            except Failure as failure:
                failed += 1
                shown = os.path.relpath(path, os.path.dirname(TESTS))
                print(f"FAIL {shown}\n  {describe(shown)}\n" + "\n".join("  " + l for l in str(failure).splitlines()))
    if not paths:
        failed = 1
        print(f"FAIL no tests of kind {names[0]} were found")
    print(f"# {passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
