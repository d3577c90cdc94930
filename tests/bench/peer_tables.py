"""What peers.py prints, and the picture: medians over the runs, ratios formed within a run."""
import json
import statistics

import picture
from peer_harness import OURS, PEERS, cache_sizes, cpu_name
from peer_nets import BATCH, bytes_touched


class Ratio:
    """The median of ratios formed run by run, and their range."""

    def __init__(self, over, under):
        self.values = [a / b for a, b in zip(over, under)]
        self.median = statistics.median(self.values)

    def __str__(self):
        return f"{self.median:.3g} [{min(self.values):.3g}, {max(self.values):.3g}]"

    def json(self):
        return {"median": self.median, "min": min(self.values), "max": max(self.values), "runs": self.values}


def table(title, head, rows):
    print("\n" + title)
    cells = [head] + [[c if isinstance(c, str) else "-" if c is None else f"{c:.4g}" for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        print("  " + "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip())


def complete(times, names, runs):
    """Those of `names` that were measured in every run."""
    return [n for n in names if len(times.get(n, ())) == runs]


def fastest(times, names):
    """The contender with the least median over the runs, or None."""
    return min(names, key=lambda n: statistics.median(times[n]), default=None)


def compare(times, runs):
    """What the tables say of one network: the best peer, our best at each level, ratios. Against the best peer of each run."""
    peers = complete(times, PEERS, runs)
    out = {"ns": {n: statistics.median(v) for n, v in times.items()}, "best_peer": fastest(times, peers)}
    for level in ("O0", "O2"):
        out[level] = fastest(times, complete(times, [n for n in OURS if n.startswith(level)], runs))
    if peers and out["O2"]:
        best = [min(times[p][r] for p in peers) for r in range(runs)]
        out["speedup"] = Ratio(best, times[out["O2"]])
        if out["O0"]:
            out["speedup_O0"] = Ratio(best, times[out["O0"]])
    if out["O2"] and out["O0"]:
        out["O0_O2"] = Ratio(times[out["O0"]], times[out["O2"]])
    if "openblas" in peers and out["O0"]:
        out["O0_openblas"] = Ratio(times[out["O0"]], times["openblas"])
    return out


def print_latency(part, results, runs, title):
    names = [n for p, n in results if p == part]
    if not names:
        return {}
    found = {n: compare(results[part, n], runs) for n in names}
    shown = [*OURS, *PEERS]
    table(title, ["network", *(PEERS.get(c, "-" + c.replace("-", " ")) for c in shown)],
          [[n, *(found[n]["ns"].get(c) for c in shown)] for n in names])
    table("Ratios, median over the runs and [range]: how many times faster than the best peer of each run",
          ["network", "best peer", "our best", "-O2 beside best peer", "-O0 beside best peer", "-O0 / -O2", "-O0 / OpenBLAS"],
          [[n, PEERS.get(f["best_peer"], "-"), "-" + f["O2"].replace("-", " ") if f["O2"] else "-",
            *(str(f[k]) if k in f else "-" for k in ("speedup", "speedup_O0", "O0_O2", "O0_openblas"))]
           for n, f in found.items()])
    return found


def print_limits(results, found, networks, options):
    rows, limits, runs = [], {}, options.runs
    first_cache = dict(cache_sizes(options.cpu)).get("L1", 0)
    for name, f in found.items():
        times, b = results["latency", name], bytes_touched(networks[name])
        if not f["O2"] or len(times.get("sweep", ())) != runs:
            continue
        swept = max(b["union"] // 64 * 64, 64)
        limit = [ns * b["touched"] / swept for ns in times["sweep"]]
        ours = times[f["O2"]]
        share, columns = Ratio(limit, ours), Ratio(times["columns"], ours)
        seen = b["union"] > first_cache     # below, walking the lists costs more than the loads
        bandwidth = swept / statistics.median(times["sweep"])
        limits[name] = {**b, "bandwidth_gb_s": bandwidth, "limit_ns": statistics.median(limit), "share": share.json(),
                        "columns_ns": f["ns"]["columns"], "columns_share": columns.json()}
        rows.append([name, f"{b['dense'] / 1024:.1f}", f"{b['touched'] / 1024:.1f}", f"{b['union'] / 1024:.1f}", f"{bandwidth:.1f}",
                     limits[name]["limit_ns"], f["ns"][f["O2"]], str(share), f["ns"]["columns"] if seen else None,
                     str(columns) if seen else "-"])
    if rows:
        table("The limit: bytes of the columns whose input is not zero, at the speed of reading the memory that all inputs touch together;"
              "\n  and the time it takes to read just those columns, input by input, and compute nothing (beyond the first cache)",
              ["network", "KiB dense", "touched", "by any input", "GB/s", "limit ns", "-O2 ns", "share", "columns ns", "share"], rows)
    return limits


def print_bandwidth(results):
    out = {}
    for contender, ns in results.get(("bandwidth", "bandwidth"), {}).items():
        name, size = contender.split(":")
        size, *huge = size.split("/")
        of_size = out.setdefault(size, {"level": name, "bytes": int(size)})
        of_size["2 MiB pages" if huge else "4 KiB pages"] = int(size) / statistics.median(ns)
    if out:
        table("Bandwidth: reading in order, GB/s, in small pages (as a program's constants are) and large ones",
              ["working set", "level", "4 KiB pages", "2 MiB pages"],
              [[f"{o['bytes'] / 1024:.0f} KiB", o["level"], o.get("4 KiB pages"), o.get("2 MiB pages")] for o in out.values()])
    return list(out.values())


def verdict(ratios, most, word):
    """`word` if a median is above `most`; with a question mark if its runs do not agree that it is above 1."""
    above = [r for r in ratios if r.median > most]
    return "" if not above else word if any(min(r.values) > 1 for r in above) else word + "?"


def print_levels(results, runs):
    rows, counted, out = [], [], {}
    for (part, name), times in results.items():
        if part != "levels" or len(complete(times, OURS, runs)) < len(OURS):
            continue
        out[name] = {"ns": {n: statistics.median(v) for n, v in times.items()}}
        ratios = {c: Ratio(times[f"O2-{c}"], times[f"O0-{c}"]) for c in ("off", "fma")}
        rows.append([name, *(out[name]["ns"][v] for v in OURS), *map(str, ratios.values()),
                     verdict(ratios.values(), 1.05, "slower")])
        out[name]["O2_O0"] = {c: r.json() for c, r in ratios.items()}
        costs = {c: Ratio(times[f"O2-{c}-counted"], times[f"O2-{c}"]) for c in ("off", "fma") if f"O2-{c}-counted" in times}
        if costs:
            counted.append([name, *map(str, costs.values()), verdict(costs.values(), 1.1, "> 1.1")])
            out[name]["counted"] = {c: r.json() for c, r in costs.items()}
    if rows:
        table("-O2 beside -O0 (below 1: -O2 is faster; `slower`: by more than 5 %, `?`: but not in every run); NAME_on: every neuron on",
              ["network", *("-" + v.replace("-", " ") + " ns" for v in OURS), "O2/O0 off", "O2/O0 fma", ""], rows)
    if counted:
        table("NAME_eval_counted beside NAME_eval, at -O2", ["network", "off", "fma", ""], counted)
    return out


def write_picture(path, found):
    """Bars for every network: ours at both levels (the faster contraction mode) and the peers."""
    groups = []
    for title, f in found.items():
        bars = [("cnetc " + "-" + f[level].replace("-", " "), f["ns"][f[level]], level) for level in ("O2", "O0") if f[level]]
        bars += [(PEERS[p], f["ns"][p], "peer") for p in PEERS if p in f["ns"]]
        groups.append((title, bars))
    with open(path, "w") as file:
        file.write(picture.bars("Time of an evaluation, relative to the fastest (one thread)", groups))


def report(bench, networks, results, options):
    runs = options.runs
    say = {"cpu": cpu_name(), "pinned_to": options.cpu, "runs": runs, "processes_rounds": options.processes, "slice_ms": options.slice,
           "versions": bench.versions, "disturbed_slices": bench.disturbed}
    print(f"{say['cpu']}, CPU {options.cpu}; {runs} runs, {options.slice} ms slices;"
          f" other processes cut into {bench.disturbed[0]} of {bench.disturbed[1]} slices")
    for name, version in bench.versions.items():
        print(f"  {PEERS.get(name, name)}: {version}")
    for name, why in bench.absent.items():
        bench.note(f"no {PEERS[name]}: {why}")
    for note in bench.notes:
        print(f"  note: {note}")
    latency = print_latency("latency", results, runs, "Latency, ns an evaluation, one at a time (median of runs)")
    limits = print_limits(results, latency, networks, options)
    batch = print_latency("batch", results, runs, f"Batches of {BATCH}, ns a batch")
    bandwidth = print_bandwidth(results)
    levels = print_levels(results, runs)
    if options.svg:
        write_picture(options.svg, {**latency, **{f"{n}, batch of {BATCH}": f for n, f in batch.items()}})
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"format_version": 1, "machine": say, "notes": bench.notes, "latency": latency, "limits": limits, "batch": batch,
                       "bandwidth_gb_s": bandwidth, "levels": levels, "ns": {f"{p} {n}": t for (p, n), t in results.items()}},
                      file, indent=1, default=lambda value: value.json())
