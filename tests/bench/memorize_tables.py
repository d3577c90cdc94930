"""What memorize.py prints and draws: a table a distribution, the ratios that matter, curves over n."""
import json
import statistics

import picture
from memorize_rivals import FORCED, HASHES, TITLES, median_times, ratios
from peer_harness import cpu_name
from peer_tables import table

# What is asked of us: (title, kind, who is above the line, who is below, from n, to n, what it should be at least)
GOALS = (("std::lower_bound / cnet, latency", "latency", ("lower_bound",), "cnet", 10 ** 3, None, 3),
         ("flat hash / cnet, latency", "latency", ("flat_hash",), "cnet", 10 ** 7, None, 1),
         ("B+-tree by hand / cnet, latency", "latency", ("stree",), "cnet", 0, None, None),
         ("fastest hash / cnet, throughput", "throughput", HASHES, "cnet", 10 ** 5, 10 ** 7, 2),
         ("B+-tree by hand / cnet, throughput", "throughput", ("stree",), "cnet", 0, None, None),
         ("the best of our tables / the chosen one, latency", "latency", FORCED, "cnet", 0, None, 1 / 1.15))
COLOURS = {"cnet": "#1a6b3c", "cnet_loop": "#7fb492", "cnet_before": "#b0d4bf", "cnet_tree": "#3f7fbf", "cnet_bucket": "#bf7f3f", "cnet_binary": "#8f8f8f",
           "flat_hash": "#b4552d", "flat_hash_ahead": "#d99a7c", "absl": "#8c6bb1",
           "unordered_map": "#c2a5cf", "lower_bound": "#1f4e8c", "eytzinger": "#4a90c2", "stree": "#22262e", "bdz": "#b8860b",
           "gperf": "#d6b656",
           "sklearn_arrays": "#888e99", "sklearn_code": "#b9bec7", "sklearn_predict": "#5b616b", "floor": "#d0d3d8"}


def of_group(results):
    """{(type, distribution, queries): {n: outcomes}}, in the order of measuring."""
    groups = {}
    for (*group, n), outcomes in results.items():
        groups.setdefault(tuple(group), {})[n] = outcomes
    return groups


def times_of(outcomes, predicted):
    times = {kind: median_times(outcomes, kind) for kind in ("latency", "throughput")}
    if predicted:
        times["throughput"]["sklearn_predict"] = statistics.median(predicted)
    return times


def cell(times, name):
    latency, throughput = (times[kind].get(name) for kind in ("latency", "throughput"))
    if latency is None and throughput is None:
        return None
    return f"{'-' if latency is None else f'{latency:.3g}'} / {throughput:.3g}"


def print_times(pages, groups, predicted):
    out = {}
    for group, by_n in groups.items():
        times = {n: times_of(outcomes, predicted.get((*group, n))) for n, outcomes in by_n.items()}
        names = [n for n in TITLES if any(n in t[kind] for t in times.values() for kind in t)]
        table(f"{group[0]} keys, {group[1]}, queries: {group[2]}; {pages} pages: ns a query, latency / throughput (median of rounds)",
              ["", *(f"n = {n:.0e}".replace("e+0", "e") for n in times)],
              [[TITLES[name], *(cell(t, name) for t in times.values())] for name in names])
        out[" ".join(group)] = times
    return out


def print_ratios(pages, groups):
    """Ratios are formed round by round; the table shows their median and the quarter on either side."""
    out = {}
    for title, kind, over, under, first, last, goal in GOALS:
        rows = []
        for group, by_n in groups.items():
            row = [" ".join(group)]
            for n, outcomes in by_n.items():
                found = ratios(outcomes, kind, over, under)
                if not found:
                    row.append(None)
                    continue
                low, middle, high = statistics.quantiles(found, n=4) if len(found) > 1 else found * 3
                asked = goal and n >= first and (last is None or n <= last)
                row.append(f"{middle:.3g} [{low:.3g}, {high:.3g}]" + ("" if not asked or middle >= goal else " !"))
                of_title = out.setdefault(title, {}).setdefault(" ".join(group), {})
                of_title[n] = {"median": middle, "quartiles": [low, high], "rounds": len(found)}
            if any(row[1:]):
                rows.append(row)
        if rows:
            wanted = f" (at least {goal:.3g}{f' from n = {first:.0e}' if first else ''}; !: below)".replace("e+0", "e") if goal else ""
            table(f"{title}{wanted}; {pages} pages", ["", *(f"n = {n:.0e}".replace("e+0", "e") for n in next(iter(groups.values())))], rows)
    return out


def print_bytes(groups):
    """Bytes a point, of the first group."""
    group, by_n = next(iter(groups.items()))
    names = [n for n in TITLES if any(n in outcomes[0].bytes for outcomes in by_n.values())]
    table(f"Bytes a point: {group[0]} keys, {group[1]}; labels have 4 bytes", ["", *(f"n = {n:.0e}".replace("e+0", "e") for n in by_n)],
          [[TITLES[name], *(outcomes[0].bytes[name] / n if name in outcomes[0].bytes else None for n, outcomes in by_n.items())]
           for name in names])


def write_picture(path, pages, groups, predicted):
    group, by_n = next(iter(groups.items()))
    panels = []
    for kind in ("latency", "throughput"):
        curves = {}
        for n, outcomes in by_n.items():
            for name, ns in times_of(outcomes, predicted.get((*group, n)))[kind].items():
                curves.setdefault(name, []).append((n, ns))
        panels.append((kind + ", ns a query", [(TITLES[name], curves[name], COLOURS[name], name == "floor") for name in TITLES
                                               if name in curves]))
    with open(path, "w") as file:
        file.write(picture.curves(f"Labels of {group[0]} keys, {group[1]}, {pages} pages, one thread", "n", panels))


def report(builder, measured, predicted, options):
    disturbed = [sum(o.disturbed[i] for results in measured.values() for outcomes in results.values() for o in outcomes) for i in (0, 1)]
    print(f"{cpu_name()}, CPU {options.cpu}; {options.runs} runs of {options.rounds} rounds, {options.slice} ms slices;"
          f" other processes cut into {disturbed[0]} of {disturbed[1]} slices")
    for note in builder.notes:
        print(f"  note: {note}")
    say = {"format_version": 1, "machine": {"cpu": cpu_name(), "pinned_to": options.cpu, "runs": options.runs, "rounds": options.rounds,
                                            "slice_ms": options.slice, "disturbed_slices": disturbed}, "notes": builder.notes}
    for pages, results in measured.items():
        groups = of_group(results)
        say[pages] = {"ns": print_times(pages, groups, predicted), "ratios": print_ratios(pages, groups),
                      "bytes": {" ".join(map(str, k)): outcomes[0].bytes for k, outcomes in results.items()},
                      "rounds": {" ".join(map(str, k)): [o.ns for o in outcomes] for k, outcomes in results.items()}}
    pages, results = next(iter(measured.items()))
    print_bytes(of_group(results))
    if options.svg:
        write_picture(options.svg, pages, of_group(results), predicted)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(say, file, indent=1)
