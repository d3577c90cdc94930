#!/usr/bin/python3
"""Memorized points: a compiled network beside hash tables, searches and trees that give the same labels to the same keys.

    tests/bench/memorize.py [--cnetc=build/driver/cnetc] [--n=1e5,1e6] [--types=f64] [--distributions=ulp] [--quick] [--json=F] [--svg=F]

latency     each query waits for the label before it
throughput  queries at once: NAME_eval_batch of the network; of the others whatever way is fastest for them

By default f64 keys of four distributions (uniform, lognormal, clustered, and `ulp`: runs of neighbours one unit in the last place
apart), all keys being asked for alike; uniform ones with Zipf queries (exponent 1.1); uniform f32 and i64 keys. --all measures the
product. Keys are distinct, labels are random i32, so no two neighbours are merged; every query is a key, as hash tables know no others.

All contenders take turns in one process and have the same memory: anonymous, on 4 KiB pages (--pages=small) or with the advice to use
2 MiB pages (huge), also the constants and code of compiled networks and of gperf, which the harness moves. Every label is checked before
anything is timed; who is wrong is named and left out (exit status 1 if it is us). Rivals that are not installed are named:
tests/bench/install-peers.sh.

--own measures nobody but us: the table that the compiler chooses beside each that it could have chosen, for all types and distributions,
n = 10^3 ... 10^6, and prints by how much the chosen one is slower than the best.
"""
import argparse
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from memorize_points import DISTRIBUTIONS, QUERIES, TYPES, make_points  # noqa: E402
from memorize_rivals import FORCED, OURS, RIVALS, ROOT, TITLES, Builder, predict_times, run_harness  # noqa: E402
from memorize_tables import report  # noqa: E402

PAGES = ("small", "huge")
SEED = 20260101


def jobs_of(options):
    """(type, distribution, queries, n), those of one table one after the other."""
    groups = [(t, d, q) for t in options.types for d in options.distributions for q in options.queries]
    if not options.all:
        first = (options.types[0], options.distributions[0], options.queries[0])
        groups = [g for g in groups if sum(a != b for a, b in zip(g, first)) <= 1]
    return [(*group, n) for group in groups for n in options.n]


def measure(builder, options):
    """{pages: {job: outcomes}}, {job: times of scikit-learn's predict}, and whether there was a bug."""
    measured, predicted = {pages: {} for pages in options.pages}, {}
    failed = False
    for i, job in enumerate(jobs := jobs_of(options)):
        kind, distribution, asked, n = job
        progress(f"{i + 1} of {len(jobs)}: {' '.join(map(str, job))}: building")
        points = make_points(kind, distribution, n, asked, options.n_queries, SEED)
        path = builder.path("points")
        points.write(path)
        contenders = builder.contenders(options.contenders, points)
        for pages in options.pages:
            outcomes = measured[pages][job] = []
            for run in range(options.runs):
                progress(f"{i + 1} of {len(jobs)}: {points.name}, {pages} pages: run {run + 1}")
                outcome = run_harness(builder, points, path, pages, contenders)
                outcomes.append(outcome)
                failed |= note_troubles(builder, points, outcome)
                contenders = {n: s for n, s in contenders.items() if n not in outcome.wrong and n not in outcome.absent}
            if pages == "huge" and outcomes[0].huge[0] < 0.8 * outcomes[0].huge[1] and n >= 10 ** 5:
                builder.note(f"{points.name}: of {outcomes[0].huge[1] >> 20} MiB only {outcomes[0].huge[0] >> 20} are in large pages")
        if "sklearn_arrays" in options.contenders:
            predicted[job] = predict_times(builder, points, options.rounds)
    progress("")
    return measured, predicted, failed


def note_troubles(builder, points, outcome):
    """True when it is a bug: of ours, or of the harness."""
    for name, why in outcome.absent.items():
        builder.note(f"no {TITLES[name]} for {points.name}: {why}")
    for name, why in outcome.wrong.items():
        builder.note(f"{'WRONG, ' if name in OURS else ''}left out: {TITLES[name]} for {points.name}: {why}")
    if outcome.status:
        builder.note(f"THE HARNESS FAILED for {points.name}: status {outcome.status}")
    return bool(outcome.status) or any(name in outcome.wrong for name in OURS)


def progress(text):
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + text)
        sys.stderr.flush()


def names(choices):
    def parse(text):
        chosen = text.split(",")
        if set(chosen) - set(choices):
            raise argparse.ArgumentTypeError(f"{', '.join(set(chosen) - set(choices))}: there are {', '.join(choices)}")
        return chosen
    return parse


def parse(argv):
    usage, text = __doc__.split("\n\n", 1)
    parser = argparse.ArgumentParser(description=usage, epilog=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cnetc", default=os.path.join(ROOT, "build", "driver", "cnetc"))
    parser.add_argument("--cnetc-flags", type=str.split, default=[], help="more options for cnetc")
    parser.add_argument("--form", choices=("data", "search"), default="data",
                        help="data: a .cnet that memorizes a file; search: the IR that becomes of it, written by hand")
    parser.add_argument("--n", type=lambda s: [int(float(n)) for n in s.split(",")], help="numbers of points")
    parser.add_argument("--types", type=names(TYPES), default=list(TYPES))
    parser.add_argument("--distributions", type=names(DISTRIBUTIONS), default=list(DISTRIBUTIONS))
    parser.add_argument("--queries", type=names(QUERIES), default=list(QUERIES))
    parser.add_argument("--all", action="store_true", help="every type with every distribution and both kinds of queries")
    parser.add_argument("--own", action="store_true", help="the table chosen beside those that could have been")
    parser.add_argument("--contenders", type=names([*OURS, *RIVALS]))
    parser.add_argument("--without", type=names([*OURS, *RIVALS]), default=[])
    parser.add_argument("--pages", type=names(PAGES), default=list(PAGES))
    parser.add_argument("--runs", type=int, help="processes a job")
    parser.add_argument("--rounds", type=int, help="in each")
    parser.add_argument("--slice", type=float, default=2, metavar="MS")
    parser.add_argument("--gperf-limit", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--quick", action="store_true", help="n to 10^4, one run of few rounds: to see that everything works")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="the CPU to stay on")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="FILE")
    options = parser.parse_args(argv)
    if options.own:
        options.form, options.all, options.queries, options.pages = "search", True, ["keys"], options.pages[:1]
    if options.n is None:
        options.n = [10 ** k for k in range(3 if options.own else 2, 5 if options.quick else 7 if options.own else 8)]
    if min(options.n) < 2:
        parser.error("n is at least 2")
    options.runs = options.runs or (1 if options.quick or options.own else 3)
    options.rounds = options.rounds or (3 if options.quick else 9)
    options.n_queries = 1 << (16 if options.quick else 19)
    if options.contenders is None:
        options.contenders = ["cnet", *FORCED] if options.own else [c for c in [*OURS, *RIVALS] if c not in FORCED]
    options.contenders = [c for c in options.contenders if c not in options.without]
    options.cnetc = os.path.abspath(options.cnetc)
    if set(OURS) & set(options.contenders) and not os.path.exists(options.cnetc):
        parser.error(f"no compiler {options.cnetc}: build it, or --cnetc=FILE")
    return options


def main(argv):
    options = parse(argv)
    # Ended from outside, too, the temporary folder goes.
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="cnet-bench-") as folder:
        builder = Builder(options, folder)
        measured, predicted, failed = measure(builder, options)
        report(builder, measured, predicted, options)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
