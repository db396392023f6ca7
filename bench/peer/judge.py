"""Runs Concrete ML and sotto on the same works and writes results.json, front-*.svg and a section of bench/RESULTS.md.

1. Survey: every setting of both systems is compiled; classes of all rows without encryption. Kept in cache/survey.jsonl.
2. Choice: settings that another one clearly beats in accuracy and predicted time are left out, and so are those over
   the limits below, with the reason.
3. Timing: each of the others in a process of its own, one at a time, the systems taking turns. Kept in cache/times.jsonl.
4. report.py.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy

import concrete_processes
import sotto_driver
from concrete_processes import concrete
from works import SETTINGS, WORKS, fixture

HERE = Path(__file__).resolve().parent
CACHE = HERE / "cache"

# A setting is left out where another one is at least as accurate and cheaper by more than this share,
SLACK = 0.15
# or more accurate by more than this and not dearer.
MARGIN = 0.005
# Settings that lose more accuracy than this against the float model are of no use.
MOST_LOSS = 0.10
MOST_RUN_SECONDS = 120
# Rows of a setting run until about this much time went by, at least two.
RUN_SECONDS = 8
# A run this much slower than the other measurements predict was disturbed, and is measured once more.
DISTURBED = 1.5

# Concrete's unit of complexity in seconds, until the first measurements correct it; its keys are sent at about this share of their size.
SECONDS_PER_COMPLEXITY = 1.4e-10
SENT_SHARE = 0.36


class Store:
    """Records by (stage, system, version, work, setting), one JSON line each, the last one counts."""

    def __init__(self, path):
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.records = {tuple(key): record for key, record in map(json.loads, lines)}

    def put(self, key, record):
        self.records[key] = record
        self.path.parent.mkdir(exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps([key, record]) + "\n")

    def drop(self, keys):
        """Forgets records, also on disk."""
        for key in keys:
            self.records.pop(key, None)
        text = "".join(json.dumps(item) + "\n" for item in self.records.items())
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(text)


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


class Judge:
    def __init__(self, options):
        self.options = options
        self.works = [work for work in WORKS if options.only is None or work["name"] in options.only]
        self.systems = options.systems
        self.versions = {"concrete": concrete_processes.version(), "sotto": sotto_driver.version()}
        self.surveys = Store(CACHE / "survey.jsonl")
        self.times = Store(CACHE / "times.jsonl")
        self.measured = {system: [] for system in SETTINGS}

    def key(self, stage, system, work, setting):
        return (stage, system, self.versions[system], work["name"], setting["name"])

    def record(self, stage, system, work, setting):
        store = self.times if stage == "time" else self.surveys
        return store.records.get(self.key(stage, system, work, setting))

    def settings(self, system, work):
        found = SETTINGS[system](work)
        return found[1::5] if self.options.quick else found

    def missing(self, stage, system, work, settings):
        return [setting for setting in settings if self.record(stage, system, work, setting) is None]

    def without_encryption(self, stage, system, work, settings):
        """Fills the cache; several processes at once, as nothing is timed."""
        left = self.missing(stage, system, work, settings)
        total, done = len(left), 0

        def keep(setting, record):
            nonlocal done
            done += 1
            self.surveys.put(self.key(stage, system, work, setting), record)
            if done % 10 == 0 or done == total or "error" in record:
                note = f": {record['error'][:90]}" if "error" in record else ""
                say(f"{stage} {system} {work['name']} {done} of {total}, {setting['name']}{note}")

        if system == "concrete":
            verb = {"survey": "survey", "refine": "simulate"}[stage]
            count = self.options.jobs
            parts = [left[i::count] for i in range(count) if left[i::count]]
            calls = [lambda part=part: concrete(verb, work, part, keep, threads=1) for part in parts]
        else:
            verb = {"survey": sotto_driver.survey, "refine": sotto_driver.refine}[stage]
            calls = [lambda setting=setting: keep(setting, verb(work, setting)) for setting in left]
        with ThreadPoolExecutor(self.options.jobs) as pool:
            for job in [pool.submit(call) for call in calls]:
                job.result()

    def labels(self, work):
        return numpy.load(fixture(work, "labels.npy"))

    def entry(self, system, work, setting):
        """What is known without encryption; None for a setting that its system refuses."""
        survey = self.record("survey", system, work, setting)
        refined = self.record("refine", system, work, setting) or {}
        if survey is None or "error" in survey or "error" in refined:
            return None
        known = {**survey, **refined}
        labels = self.labels(work)
        calibration = calibration_labels(work)
        # Simulated classes are those of all rows, once or several times.
        accuracy = {
            mode: float((numpy.array(known[mode]).reshape(-1, len(labels)) == labels).mean())
            for mode in ("clear", "simulated")
            if mode in known
        }
        accuracy["calibration"] = float((numpy.array(known["calibration"]) == calibration).mean())
        return {
            "setting": setting,
            "known": known,
            "accuracy": accuracy,
            "cost": known.get("predictedSeconds") or known["complexity"] * SECONDS_PER_COMPLEXITY,
        }

    def candidates(self, system, work):
        """Settings that can be on a front. They are simulated, which may take some off it and let others in."""
        floor = json.loads(fixture(work, "case.json").read_text())["float_accuracy"] - MOST_LOSS
        while True:
            entries = [self.entry(system, work, setting) for setting in self.settings(system, work)]
            entries = [entry for entry in entries if entry is not None]
            chosen = possible_front([e for e in entries if told(e) >= floor], told)
            if system == "sotto":
                by_calibration = possible_front(entries, lambda e: e["accuracy"]["calibration"])
                chosen += [e for e in by_calibration if e not in chosen and told(e) >= floor]
            settings = [entry["setting"] for entry in chosen if self.too_long(system, entry) is None]
            if not self.missing("refine", system, work, settings):
                return chosen
            self.without_encryption("refine", system, work, settings)

    def survey(self):
        for work in self.works:
            for system in self.systems:
                self.without_encryption("survey", system, work, self.settings(system, work))
        return {(system, work["name"]): self.candidates(system, work) for work in self.works for system in self.systems}

    def jobs(self, candidates):
        """The systems take turns within a work, each from its cheapest setting on."""
        jobs = []
        for work in self.works:
            queues = {}
            for system in self.systems:
                found = sorted(candidates[system, work["name"]], key=lambda e: e["cost"])
                queues[system] = found[: self.options.most] if self.options.most else found
            total = max(len(queue) for queue in queues.values())
            order = sorted(
                (i * total / len(queue), system, i) for system, queue in queues.items() for i in range(len(queue))
            )
            jobs += [(system, work, queues[system][i]) for _, system, i in order]
        return jobs

    def run_seconds(self, system, entry):
        return entry["cost"] * median(self.measured[system] or [1])

    def rows(self, seconds):
        return max(2, min(self.options.rows, round(RUN_SECONDS / max(seconds, 1e-3))))

    def expected(self, system, entry):
        """Seconds of a whole job, roughly."""
        run = self.run_seconds(system, entry)
        if system == "sotto":
            return 2 + entry["known"]["keyBytes"] * 6e-8 + run * self.rows(run)
        return 12 + sent_bytes(entry) * 6e-8 + run * self.rows(run)

    def too_long(self, system, entry):
        seconds = self.run_seconds(system, entry)
        if seconds > MOST_RUN_SECONDS:
            return f"predicted {seconds:.0f} s for one encrypted run"
        if system == "concrete" and sent_bytes(entry) > self.options.most_keys * 1e9:
            return f"predicted evaluation keys of {sent_bytes(entry) / 1e9:.1f} GB"
        return None

    def time(self, jobs):
        if not self.options.resume:
            self.times.drop([self.key("time", system, work, entry["setting"]) for system, work, entry in jobs])
        for number, (system, work, entry) in enumerate(jobs):
            left = [
                self.expected(s, e)
                for s, w, e in jobs[number:]
                if self.record("time", s, w, e["setting"]) is None and self.too_long(s, e) is None
            ]
            setting = entry["setting"]
            name = f"{number + 1} of {len(jobs)}: {system} {work['name']} {setting['name']}"
            if self.record("time", system, work, setting) is None:
                say(f"{name}, {self.expected(system, entry):.0f} s of about {sum(left) / 60:.1f} min left")
                record = self.time_one(system, work, entry)
                if self.is_disturbed(system, entry, record):
                    say(f"  run {warm(record['runSeconds']):.2f} s, once more")
                    both = [record, self.time_one(system, work, entry)]
                    record = min((r for r in both if "runSeconds" in r), key=lambda r: warm(r["runSeconds"]))
                    record["repeated"] = True
                self.times.put(self.key("time", system, work, setting), record)
            record = self.record("time", system, work, setting)
            if "error" in record or "skipped" in record:
                say(f"  {record.get('error') or record['skipped']}")
                continue
            self.measured[system].append(warm(record["runSeconds"]) / entry["cost"])
            say(f"  run {warm(record['runSeconds']):.2f} s, key generation {record['keygenSeconds']:.1f} s")

    def is_disturbed(self, system, entry, record):
        if "runSeconds" not in record or len(self.measured[system]) < 3:
            return False
        return warm(record["runSeconds"]) > DISTURBED * self.run_seconds(system, entry)

    def time_one(self, system, work, entry):
        reason = self.too_long(system, entry)
        if reason is not None:
            return {"skipped": reason}
        rows = self.rows(self.run_seconds(system, entry))
        before = {"load": os.getloadavg()[0], "at": time.strftime("%Y-%m-%dT%H:%M:%S")}
        if system == "sotto":
            return {**before, **sotto_driver.measure(work, entry["setting"], rows)}
        found = []
        concrete("time", work, [entry["setting"]], lambda _, record: found.append(record), rows)
        return {**before, **found[0]}

    def collect(self, candidates):
        """All that the report needs, without the rows' classes."""
        settings = []
        for (system, work), entries in candidates.items():
            for entry in entries:
                record = self.times.records.get(("time", system, self.versions[system], work, entry["setting"]["name"]))
                if record is None:
                    continue
                agree = agreement(record, entry["known"])
                kept = {k: v for k, v in record.items() if k not in ("clear", "encrypted", "work", "setting")}
                settings.append(
                    {
                        "system": system,
                        "work": work,
                        "setting": entry["setting"]["name"],
                        "args": entry["setting"].get("args"),
                        "accuracy": entry["accuracy"],
                        "predictedSeconds": entry["cost"],
                        **agree,
                        **kept,
                    }
                )
        tried = {
            f"{system} {work['name']}": len(self.settings(system, work))
            for work in self.works
            for system in self.systems
        }
        return {"machine": machine(), "versions": self.versions, "tried": tried, "settings": settings}


def machine():
    def ask(*command):
        return subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True).stdout.strip()

    cpu = Path("/proc/cpuinfo").read_text().splitlines()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": next(line.partition(": ")[2] for line in cpu if line.startswith("model name")),
        "cores": os.cpu_count(),
        "memory": f"{memory / 2**30:.0f} GiB",
        "date": time.strftime("%Y-%m-%d"),
        "commit": ask("git", "rev-parse", "--short", "HEAD"),
        "python": platform.python_version(),
        "node": ask("node", "--version"),
    }


def agreement(record, known):
    """Encrypted rows whose class is that of the clear run."""
    if "encrypted" not in record:
        return {}
    clear = known["clear"][: len(record["encrypted"])]
    same = sum(a == b for a, b in zip(record["encrypted"], clear, strict=True))
    return {"rows": len(clear), "rowsAgreeing": same}


def told(entry):
    """The accuracy that encrypted rows get: simulated where that is known already."""
    accuracy = entry["accuracy"]
    return accuracy.get("simulated", accuracy.get("clear"))


def possible_front(entries, accuracy):
    """Entries that are not clearly beaten by another one."""

    def beats(other, entry):
        if accuracy(other) >= accuracy(entry) and other["cost"] * (1 + SLACK) < entry["cost"]:
            return True
        return accuracy(other) > accuracy(entry) + MARGIN and other["cost"] <= entry["cost"]

    return [entry for entry in entries if not any(beats(other, entry) for other in entries)]


def sent_bytes(entry):
    return entry["known"]["rawKeyBytes"] * SENT_SHARE


def warm(seconds):
    """The median run after the first one, in which Concrete ML unpacks its keys."""
    return median(seconds[1:] or seconds)


def calibration_labels(work):
    """Labels of the calibration rows, which are the first training rows of scikit-learn's digits."""
    path = CACHE / "calibration-labels.npy"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        # In a process of its own, as the memory of a process starts at that of its parent.
        subprocess.run([sys.executable, HERE / "calibration_labels.py", path], check=True)
    return numpy.load(path)[: len(numpy.load(fixture(work, "calibration.npy"), mmap_mode="r"))]


def parse():
    names = [work["name"] for work in WORKS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), help=f"works, of {','.join(names)}")
    parser.add_argument("--systems", type=lambda text: text.split(","), default=list(SETTINGS), help="concrete,sotto")
    parser.add_argument("--rows", type=int, default=5, help="most encrypted rows per setting (default 5)")
    parser.add_argument("--most", type=int, help="times only so many settings of each work and system")
    parser.add_argument(
        "--most-keys",
        type=float,
        default=1.5,
        help="GB of evaluation keys over which a setting is not timed (default 1.5)",
    )
    parser.add_argument("--quick", action="store_true", help="a few settings, two of them timed, no report")
    parser.add_argument("--jobs", type=int, default=2, help="processes of the survey, which is not timed (default 2)")
    parser.add_argument("--resume", action="store_true", help="keeps the times of an interrupted run")
    parser.add_argument("--survey", action="store_true", help="stops before the timing")
    options = parser.parse_args()
    for name in options.only or []:
        if name not in names:
            parser.error(f"no work {name}; there are {', '.join(names)}")
    if options.quick:
        options.rows, options.most = min(options.rows, 2), 2
    return options


def main():
    options = parse()
    judge = Judge(options)
    candidates = judge.survey()
    jobs = judge.jobs(candidates)
    for system, work, entry in jobs:
        say(f"to time: {system} {work['name']} {entry['setting']['name']}, {told(entry):.4f}, {entry['cost']:.1f} s")
    seconds = [0 if judge.too_long(s, e) else judge.expected(s, e) for s, _, e in jobs]
    say(f"{len(jobs)} settings, about {sum(seconds) / 60:.0f} min")
    if options.survey:
        return
    judge.time(jobs)
    results = CACHE / "quick.json" if options.quick else HERE / "results.json"
    results.write_text(json.dumps(judge.collect(candidates), indent=1) + "\n")
    if not options.quick:
        subprocess.run([sys.executable, HERE / "report.py"], check=True)


if __name__ == "__main__":
    main()
