"""Turns results.json into front-*.svg, one per work, and a section of bench/RESULTS.md."""

import json
import subprocess
from pathlib import Path
from statistics import median

import matplotlib

from sotto_driver import DRAWS
from works import ROOT, THREADS, WORKS, fixture

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "front"  # the same file for the same results
matplotlib.rcParams["svg.fonttype"] = "none"
from matplotlib import pyplot

HERE = Path(__file__).resolve().parent
HEADING = "## Beside Concrete ML"
NAMES = {"concrete": "Concrete ML", "sotto": "sotto"}
COLORS = {"concrete": "#c2410c", "sotto": "#1d4ed8"}


def warm(seconds):
    """The median after the first row, in which Concrete ML unpacks its keys."""
    return median(seconds[1:] or seconds)


def inference(point):
    """Seconds of one inference: encrypt, run, decrypt."""
    return sum(warm(point[f"{step}Seconds"]) for step in ("encrypt", "run", "decrypt"))


def accuracy(point):
    return point["accuracy"]["simulated"]


def front(points):
    """The points that no other beats in time and equals in accuracy, the quickest first."""
    kept = []
    for point in sorted(points, key=lambda p: (inference(p), -accuracy(p))):
        if not kept or accuracy(point) > accuracy(kept[-1]):
            kept.append(point)
    return kept


def quickest(points, is_good):
    return min((point for point in points if is_good(point)), key=inference, default=None)


def percent(share):
    return f"{100 * share:.1f} %"


def short(seconds):
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"


def size(count):
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def table(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def front_table(points_of):
    heads = ["system", "setting", "accuracy simulated", "in the clear", "lookups", "compile", "key generation"]
    heads += ["evaluation keys", "input", "output", "one inference", "first run", "peak memory", "encrypted rows agree"]
    rows = []
    for system, points in points_of.items():
        for point in front(points):
            row = [NAMES[system], point["setting"], percent(accuracy(point)), percent(point["accuracy"]["clear"])]
            row += [str(point["lookups"]), short(point["compileSeconds"]), short(point["keygenSeconds"])]
            row += [size(point["keyBytes"]), size(point["inputBytes"]), size(point["outputBytes"])]
            row += [short(inference(point)), short(point["runSeconds"][0]), f"{point['peakMegabytes']:.0f} MB"]
            rows.append([*row, f"{point['rowsAgreeing']} of {point['rows']}"])
    return table(heads, rows)


def ratio(theirs, ours, value):
    return f"{value(theirs) / value(ours):.2f}" if value(ours) > 0 else ""


def ratio_table(concrete, sotto):
    """Concrete ML's front against sotto's quickest settings that are as accurate."""
    heads = ["Concrete ML", "accuracy", "one inference", "sotto", "accuracy", "one inference", "time ratio"]
    heads += ["key generation ratio", "key bytes ratio", "memory ratio", "compile ratio"]
    heads += ["chosen on calibration rows", "accuracy", "time ratio"]
    rows = []
    for theirs in front(concrete):
        row = [theirs["setting"], percent(accuracy(theirs)), short(inference(theirs))]
        ours = quickest(sotto, lambda p, theirs=theirs: accuracy(p) >= accuracy(theirs))
        if ours is None:
            row += ["none as accurate", *[""] * 7]
        else:
            row += [ours["setting"], percent(accuracy(ours)), short(inference(ours)), ratio(theirs, ours, inference)]
            for key in ("keygenSeconds", "keyBytes", "peakMegabytes", "compileSeconds"):
                row.append(ratio(theirs, ours, lambda p, key=key: p[key]))
        least = theirs["accuracy"]["calibration"]
        blind = quickest(sotto, lambda p, least=least: p["accuracy"]["calibration"] >= least)
        if blind is None:
            row += ["none as accurate", "", ""]
        else:
            row += [blind["setting"], percent(accuracy(blind)), ratio(theirs, blind, inference)]
        rows.append(row)
    return table(heads, rows)


def left_out(settings):
    """Candidates that were not timed, with the reason."""
    rows = []
    for point in settings:
        reason = point.get("skipped") or point.get("error")
        if reason is not None:
            rows.append(f"{NAMES[point['system']]} {point['work']} {point['setting']} ({reason})")
    return f"Not timed: {'; '.join(rows)}.\n\n" if rows else ""


def draw(work, points_of, float_accuracy):
    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    for system, points in points_of.items():
        color = COLORS[system]
        best = front(points)
        axes.scatter([inference(p) for p in points], [100 * accuracy(p) for p in points], s=14, color=color, alpha=0.35)
        x = [inference(p) for p in best]
        y = [100 * accuracy(p) for p in best]
        axes.step(x, y, where="post", color=color, marker="o", markersize=5, label=NAMES[system])
    axes.axhline(100 * float_accuracy, color="#666666", linestyle=":", linewidth=1, label="float model")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    axes.set_xlabel(f"seconds of one encrypted inference, {THREADS} threads")
    axes.set_ylabel("accuracy in %, test rows, simulated")
    axes.set_title(work)
    axes.grid(which="both", alpha=0.2)
    axes.legend(loc="lower right", frameon=False)
    figure.tight_layout()
    figure.savefig(HERE / f"front-{work}.svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def section(results):
    machine = results["machine"]
    loads = [point["load"] for point in results["settings"] if "load" in point]
    memories = [point["megabytesAfter"]["imports"] for point in results["settings"] if "megabytesAfter" in point]
    imports = f"{median(memories):.0f}" if memories else "some"
    lines = [
        HEADING,
        "",
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}; {machine['date']}, commit {machine['commit']};",
        f"Concrete ML {results['versions']['concrete']} on Python {machine['python']}, sotto on Node {machine['node']}.",
        f"Both with {THREADS} threads, failure probability 2^-40 per lookup and 128 bits of security, on the same rows.",
        f"Made by `python bench/peer/judge.py` ([how](peer/README.md)); load of the machine before a process at most {max(loads):.1f}.",
        "",
        "Tables hold the fronts: settings that no other one of the same system beats in time and equals in accuracy on the",
        "450 labelled test rows, simulated with noise. Both fronts are picked on those rows, whose accuracies have a standard",
        f"error of about 1 point. Simulated accuracies of sotto are of {DRAWS} draws of the noise, those of Concrete ML of one, as its",
        "simulation is slow. The last three columns compare with the quickest setting of sotto that is as accurate as",
        "Concrete ML's on the calibration rows: its test accuracy is of rows that this choice did not see. One inference is",
        "encrypt, run and decrypt, the median after the first row, as the first run of Concrete ML unpacks its keys. Peak memory",
        f"is that of a process that does just this setting; {imports} MB of Concrete ML's are there after its imports.",
        "With `noise`, tables of sotto bear noise of that standard deviation, a share of the interval they read: 2^-40 then",
        "bounds a move by half the interval, and a neighbouring step is common. Approximate rounding of Concrete ML takes",
        "neighbouring steps too; simulated accuracies count both.",
        "Settings of sotto (`works.py`) were picked from its own searches before this run: parameters for this class of CPU, scales",
        "per channel and bias correction, which cost no time, and two shares of noise.",
        "Ratios are Concrete ML's value divided by sotto's: above 1 sotto is better.",
        "",
        left_out(results["settings"]),
    ]
    for work in WORKS:
        name = work["name"]
        timed = [p for p in results["settings"] if p["work"] == name and "runSeconds" in p]
        points_of = {system: [p for p in timed if p["system"] == system] for system in NAMES}
        if not timed:
            continue
        float_accuracy = json.loads(fixture(work, "case.json").read_text())["float_accuracy"]
        draw(name, points_of, float_accuracy)
        tried = ", ".join(
            f"{results['tried'][key]} settings of {NAMES[system]} tried and {len(points_of[system])} timed"
            for system in NAMES
            if (key := f"{system} {name}") in results["tried"]
        )
        lines += [
            f"### {name}",
            "",
            f"Float model {percent(float_accuracy)}; {tried}.",
            "",
            f"![Accuracy against time of one encrypted inference on {name}](peer/front-{name}.svg)",
            "",
            front_table(points_of),
            "",
        ]
        if all(points_of.values()):
            lines += [ratio_table(points_of["concrete"], points_of["sotto"]), ""]
    return "\n".join(lines)


def replace_section(text, new):
    """The text with the section under HEADING replaced, or added at the end."""
    start = text.find(f"\n{HEADING}\n")
    if start < 0:
        return text.rstrip("\n") + "\n\n" + new
    end = text.find("\n## ", start + len(HEADING))
    return text[: start + 1] + new + ("" if end < 0 else text[end:])


def main():
    results = json.loads((HERE / "results.json").read_text())
    path = ROOT / "bench" / "RESULTS.md"
    path.write_text(replace_section(path.read_text(), section(results)))
    subprocess.run(["npx", "prettier", "--write", path, HERE / "results.json"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
