#!/usr/bin/python3
"""Documentation that is run: every README.md of the tree, block by block.

    tests/docs.py [--cnetc=build/driver/cnetc] [--update] [README.md ...]

The blocks of one page run in order, in one fresh folder that holds a copy of examples/digits and
examples/small's files and, for a page of examples/, of the files beside it.
What a block is for is said after its opening fence:

    ```cnet               a whole program: must compile (to IR)
    ```cnet xor.cnet      likewise, kept under that name for the blocks below; also ```c main.c, ```cnir, ```csv, ```sh
    ```cnet error         must be refused with status 1
    ```cnet fragment      part of a program: only read by people (any language)
    ```cnir               the IR's text: must be read, verified and printed
    ```console            lines `$ COMMAND` are run by sh (exit status 0, or as said in a line `[status N]`), the lines below each are
                          its output, stdout and stderr together; a line `...` stands for any lines, `{...}` in a line for any text
    ```sh test            run by sh; must succeed

Other blocks are not run. In them `cnetc` is ours, CC is cc, and $SOURCE is the tree. --update rewrites console outputs to what
is printed now, so that numbers on a page are measured, not typed. Beyond blocks: the options in docs/cnetc.1 are those of
`cnetc --help` (--update writes them), so are those that docs/cnetc.bash completes, and links to files of the tree lead somewhere.
Ends with `# N passed, N failed, N skipped`.
"""
import difflib
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TIMEOUT = 300


class Failure(Exception):
    """A block that does not do what its page says."""


def read_blocks(lines):
    """[(words after the fence, first line index, end index)]; the lines of a block are lines[first:end]."""
    blocks, i = [], 0
    while i < len(lines):
        match = re.match(r"\s*(```+)\s*(\S.*)?$", lines[i])
        i += 1
        if not match:
            continue
        first = i
        while i < len(lines) and lines[i].strip() != match[1]:
            i += 1
        blocks.append(((match[2] or "").split(), first, i))
        i += 1
    return blocks


def shell(command, folder, env):
    try:
        done = subprocess.run(["sh", "-c", command], cwd=folder, env=env, stdin=subprocess.DEVNULL, timeout=TIMEOUT,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        raise Failure(f"$ {command}\nno end after {TIMEOUT} s") from None
    return done.returncode, done.stdout.decode(errors="replace").rstrip("\n").splitlines()


def matches(expected, got):
    """Whether the lines `got` are the lines `expected`, with `...` and `{...}` as wildcards."""
    pattern = ""
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += r"[^\n]*?".join(re.escape(p) for p in line.rstrip().split("{...}")) + r"\s*?\n"
    return re.fullmatch(pattern, "".join(line.rstrip() + "\n" for line in got)) is not None


def run_console(lines, folder, env, update):
    """Runs the commands of a console block; returns its lines as they should be."""
    out, i = [], 0
    while i < len(lines):
        if not lines[i].startswith("$ "):
            raise Failure(f"expected `$ COMMAND`: {lines[i]}")
        command, out, i = lines[i][2:], out + [lines[i]], i + 1
        while command.endswith("\\"):
            command, out, i = command[:-1] + lines[i], out + [lines[i]], i + 1
        expected = []
        while i < len(lines) and not lines[i].startswith("$ "):
            expected.append(lines[i])
            i += 1
        wanted = 0
        if expected and re.fullmatch(r"\[status \d+\]", expected[-1]):
            wanted = int(expected[-1][8:-1])
        status, got = shell(command, folder, env)
        if wanted:
            got.append(f"[status {status}]")
        if status != wanted and not update:
            raise Failure(f"$ {command}\nexit status {status}\n" + "\n".join(got[-30:]))
        if not matches(expected, got):
            if not update or status != wanted:
                raise Failure(f"$ {command}\nexpected:\n" + "\n".join("    " + l for l in expected)
                              + "\ngot:\n" + "\n".join("    " + l for l in got))
            expected = got
        out += expected
    return out


def run_block(words, lines, folder, env, update):
    """Runs one block; None when it is not one that runs, else its lines."""
    kind, rest = words[0], words[1:]
    if "fragment" in rest:
        return None
    name = next((w for w in rest if "." in w), None)
    if name:
        with open(os.path.join(folder, name), "w") as file:
            file.write("\n".join(lines) + "\n")
    if kind == "console":
        return run_console(lines, folder, env, update)
    if kind == "sh" and "test" in rest:
        status, got = shell("set -e\n" + "\n".join(lines), folder, env)
        if status:
            raise Failure(f"exit status {status}\n" + "\n".join(got[-30:]))
        return lines
    if kind in ("cnet", "cnir"):
        path = name or "block." + kind
        if not name:
            with open(os.path.join(folder, path), "w") as file:
                file.write("\n".join(lines) + "\n")
        status, got = shell(f"cnetc {path} --emit=ir -o - >/dev/null", folder, env)
        if status != (1 if "error" in rest else 0):
            raise Failure(f"$ cnetc {path}\nexit status {status}\n" + "\n".join(got[-30:] + ["with:"] + lines))
        return lines
    return lines if name else None


def check_page(path, cnetc, update, results):
    with open(path) as file:
        lines = file.read().split("\n")
    shown = os.path.relpath(path, ROOT)
    env = dict(os.environ, NO_COLOR="1", LC_ALL="C.UTF-8", SOURCE=ROOT, CC="cc",
               PATH=os.path.dirname(cnetc) + os.pathsep + os.environ.get("PATH", "/usr/bin:/bin"))
    new, shift = list(lines), 0
    with tempfile.TemporaryDirectory(prefix="cnet-docs-") as folder:
        for example in ("digits", "small"):
            for file in glob.glob(os.path.join(ROOT, "examples", example, "*")):
                if not (example == "small" and file.endswith("main.c")):
                    shutil.copy(file, folder)
        if os.path.dirname(os.path.dirname(path)) == os.path.join(ROOT, "examples"):
            for file in glob.glob(os.path.join(os.path.dirname(path), "*.*")):
                shutil.copy(file, folder)
        for words, first, end in read_blocks(lines):
            if not words:
                continue
            try:
                got = run_block(words, lines[first:end], folder, env, update)
            except Failure as failure:
                results.append((f"{shown}:{first}: {' '.join(words)}", str(failure)))
                continue
            if got is None:
                continue
            results.append((f"{shown}:{first}", None))
            new[first + shift:end + shift] = got
            shift += len(got) - (end - first)
    if update and new != lines:
        with open(path, "w") as file:
            file.write("\n".join(new))
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", re.sub(r"(?ms)^```.*?^```", "", "\n".join(lines))):
        if not os.path.exists(os.path.join(os.path.dirname(path), target)):
            results.append((f"{shown}: link to {target}", "there is no such file"))
    results.append((f"{shown}: links", None))


def man_options(said):
    """The section OPTIONS of the man page, from the text of `cnetc --help`."""
    def quoted(text):
        return text.replace("\\", "\\e").replace("-", "\\-")
    out = []
    for line in said.splitlines():
        if re.match(r"[A-Z].*:$", line):
            out += [".SS " + line[:-1]]
        elif match := re.match(r"  (-\S+(?: [A-Z]+)?)\s+(\S.*)$", line):
            out += [".TP", ".B " + quoted(match[1]), quoted(match[2])]
    return out


def check_options(cnetc, update, results):
    """The man page and the completion know what cnetc --help lists."""
    said = subprocess.run([cnetc, "--help"], capture_output=True, text=True, timeout=60).stdout
    wanted, path = man_options(said), os.path.join(ROOT, "docs", "cnetc.1")
    if len(wanted) < 10:
        results.append(("cnetc --help", "lists no options"))
        return
    with open(path) as file:
        page = file.read().splitlines()
    begin, end = page.index('.\\" options: begin'), page.index('.\\" options: end')
    if update:
        page[begin + 1:end] = wanted
        with open(path, "w") as file:
            file.write("\n".join(page) + "\n")
        end = begin + 1 + len(wanted)
    wrong = "\n".join(difflib.unified_diff(page[begin + 1:end], wanted, "docs/cnetc.1", "cnetc --help", lineterm="", n=1))
    results.append(("docs/cnetc.1 against cnetc --help", wrong or None))

    def complete(*words):
        script = f". {shlex.quote(os.path.join(ROOT, 'docs', 'cnetc.bash'))}\n" \
                 f"COMP_WORDS=({' '.join(map(shlex.quote, (cnetc,) + words))}); COMP_CWORD={len(words)}; _cnetc\n" \
                 'printf "%s\\n" "${COMPREPLY[@]}"'
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60,
                              cwd=os.path.join(ROOT, "examples", "digits")).stdout.split()
    long_options = set(re.findall(r"(?m)^  (--[a-z][a-z0-9-]*)", said))
    for words, expected in ((("--",), long_options), (("--emit", "=", "s"), {"shared", "static"}),
                            (("--engine", "=", ""), {"jit", "interp"}), (("dig",), {"digits.cnet"}),
                            (("--passes=dead",), {"dead-code"}), (("ru",), {"run"})):
        got = set(complete(*words))
        results.append((f"docs/cnetc.bash: completing {' '.join(words)}",
                        None if got == expected else f"expected {sorted(expected)}, got {sorted(got)}"))


def main(argv):
    cnetc = os.path.join(ROOT, "build", "driver", "cnetc")
    update, pages = False, []
    for arg in argv:
        if arg.startswith("--cnetc="):
            cnetc = os.path.abspath(arg.split("=", 1)[1])
        elif arg == "--update":
            update = True
        elif arg.startswith("-"):
            print(__doc__, file=sys.stderr)
            return 2
        else:
            pages.append(os.path.abspath(arg))
    results = []
    if not pages:
        check_options(cnetc, update, results)
        pages = sorted(p for p in glob.glob(os.path.join(ROOT, "**", "README.md"), recursive=True)
                       if not re.search(r"/(build|build-[^/]*)/", p))
    for page in pages:
        check_page(page, cnetc, update, results)
    failures = [(what, why) for what, why in results if why]
    for what, why in failures:
        print(f"FAIL {what}\n" + "\n".join("  " + line for line in why.splitlines()))
    print(f"# {len(results) - len(failures)} passed, {len(failures)} failed, 0 skipped")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
