"""Child processes of concrete_driver.py: Concrete ML's memory is its own, and what ends its process ends one setting only."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from works import THREADS

HERE = Path(__file__).resolve().parent

# Concrete ML gets no more than this for one setting.
MOST_SECONDS = {"survey": 300, "simulate": 1200, "time": 600}


def version():
    pins = (HERE / "requirements.txt").read_text().split()
    return next(pin.partition("==")[2] for pin in pins if pin.startswith("concrete-ml=="))


def concrete(verb, work, settings, keep, rows=1, threads=THREADS):
    """Gives `keep` the record of each setting; a setting that ends its process gets an error, and the others go on."""
    left = list(settings)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}
    while left:
        with tempfile.TemporaryDirectory() as scratch:
            asked, out = Path(scratch) / "settings.json", Path(scratch) / "out.jsonl"
            asked.write_text(json.dumps(left))
            out.touch()
            command = [sys.executable, HERE / "concrete_driver.py", verb, work["name"], asked, out, str(rows)]
            errors = Path(scratch) / "errors"
            with errors.open("wb") as stderr:
                process = subprocess.Popen(
                    command, env=environment, cwd=scratch, stderr=stderr, stdout=subprocess.DEVNULL
                )
            why = follow(process, out, left, keep, MOST_SECONDS[verb])
            if left:
                said = errors.read_text().strip().splitlines()[-1:] or [""]
                keep(left.pop(0), {"error": f"{why} {said[0][:200]}".strip()})


def follow(process, out, left, keep, limit):
    """Hands on the lines of a driver as they come, until it ends or takes too long for one; why it ended."""
    deadline, seen, ended = time.monotonic() + limit, 0, False
    while not ended:
        ended = process.poll() is not None  # before the reading, so that no line is missed
        lines = out.read_text().split("\n")[:-1]
        for line in lines[seen:]:
            keep(left.pop(0), json.loads(line))
            deadline = time.monotonic() + limit
        seen = len(lines)
        if not ended and time.monotonic() > deadline:
            process.kill()
            process.wait()
            return f"not done in {limit} s"
        if not ended:
            time.sleep(0.2)
    return f"its process ended with status {process.returncode}"
