"""sotto on one work: its command line, a process per setting."""

import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy

from works import P_ERROR, ROOT, THREADS, fixture

CLI = ROOT / "dist" / "cli" / "main.js"
# Each test row is simulated so many times, with noise of its own.
DRAWS = 3


def version():
    """Names the built command: a digest of all that it consists of."""
    digest = hashlib.sha256()
    for folder in ("dist", "native"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".js", ".node"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def predict(work, setting, mode, files, more=()):
    """JSON of `sotto predict` on the rows of some files, with the peak memory of its process; `error` where it refuses."""
    with tempfile.TemporaryDirectory() as scratch:
        out, errors = Path(scratch) / "out.json", Path(scratch) / "errors"
        command = ["node", CLI, "predict", fixture(work, "model.onnx"), "--mode", mode, "--json", out]
        rows = Path(scratch) / "rows.npy"
        numpy.save(rows, numpy.concatenate([numpy.load(fixture(work, file)) for file in files]))
        command += ["--calibration", fixture(work, "calibration.npy"), "--input", rows]
        command += ["--p-error", repr(P_ERROR), "--threads", str(THREADS), *setting["args"], *more]
        with errors.open("wb") as stderr:
            process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=stderr)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            lines = errors.read_text().strip().splitlines() or [f"exit status {process.returncode}"]
            return {"error": lines[-1][:300]}
        result = json.loads(out.read_text())
    return {
        **result,
        "classes": [row.index(max(row)) for row in result["outputs"][0]],
        "peakMegabytes": usage.ru_maxrss / 1024,
        "processorSeconds": usage.ru_utime + usage.ru_stime,
    }


def costs(result):
    crypto = result["crypto"]
    return {
        "lookups": result["circuit"]["tableLookups"],
        "maxBitWidth": result["circuit"]["maxBitWidth"],
        "compileSeconds": result["timings"]["compileMs"] / 1000,
        "keyBytes": crypto["evaluationKeyBytes"],
        "inputBytes": crypto["inputBytes"],
        "outputBytes": crypto["outputBytes"],
        "pError": crypto["pError"],
        "predictedSeconds": crypto["predictedMs"] / 1000 / THREADS,
    }


def classify(work, setting, mode, name, draws):
    """Classes of the test rows, called `name`, all of them `draws` times, and of the calibration rows."""
    result = predict(work, setting, mode, ["inputs.npy"] * draws + ["calibration.npy"])
    if "error" in result:
        return result
    if result["crypto"] is None:
        return {"error": "no parameters serve its tables"}
    count = draws * len(numpy.load(fixture(work, "labels.npy")))
    found = result["classes"]
    return {**costs(result), name: found[:count], "calibration": found[count:]}


def survey(work, setting):
    return classify(work, setting, "clear", "clear", 1)


def refine(work, setting):
    return classify(work, setting, "simulate", "simulated", DRAWS)


def measure(work, setting, rows):
    """Encrypted runs of the first rows."""
    result = predict(work, setting, "encrypted", ["inputs.npy"], ["--limit", str(rows)])
    if "error" in result:
        return result
    timings = result["timings"]
    steps = {f"{step}Seconds": [ms / 1000 for ms in timings[f"{step}Ms"]] for step in ("encrypt", "run", "decrypt")}
    return {
        **costs(result),
        "keygenSeconds": timings["keygenMs"] / 1000,
        **steps,
        "peakMegabytes": result["peakMegabytes"],
        "processorSeconds": result["processorSeconds"],
        "encrypted": result["classes"],
    }
