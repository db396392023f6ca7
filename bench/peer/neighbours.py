"""Nearest neighbours in Concrete ML and in sotto, on iris (4 features, k = 3), with as many points as asked for.

    .venv/bin/python neighbours.py POINTS [N_BITS] [P_ERROR]

The 150 - POINTS other rows are the test rows. Prints a JSON object per system and setting; where Concrete ML finds no
parameters, its error. Needs `npm run setup`.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
from concrete.ml.sklearn import KNeighborsClassifier as EncryptedNeighbours
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.neighbors import KNeighborsClassifier

from works import P_ERROR, ROOT

NEIGHBOURS = 3


def split(points):
    rows, labels = load_iris(return_X_y=True)
    order = numpy.random.RandomState(0).permutation(len(rows))
    rows, labels = rows[order].astype(numpy.float32), labels[order]
    return rows[:points], labels[:points], rows[points:], labels[points:]


def export(folder, rows, labels, test, expected):
    model = KNeighborsClassifier(NEIGHBOURS).fit(rows, labels)
    types = [("X", FloatTensorType([None, rows.shape[1]]))]
    onnx = convert_sklearn(model, initial_types=types, target_opset=17, options={id(model): {"zipmap": False}})
    (folder / "model.onnx").write_bytes(onnx.SerializeToString())
    numpy.save(folder / "calibration.npy", rows)
    numpy.save(folder / "inputs.npy", test)
    numpy.save(folder / "labels.npy", expected.astype(numpy.int64))
    return {"system": "scikit-learn", "points": len(rows), "accuracy": model.score(test, expected)}


def concrete(n_bits, p_error, rows, labels, test, expected):
    model = EncryptedNeighbours(n_bits=n_bits, n_neighbors=NEIGHBOURS).fit(rows, labels)
    result = {
        "system": "Concrete ML",
        "points": len(rows),
        "nBits": n_bits,
        "pError": p_error,
        "accuracy": float((numpy.array(model.predict(test)) == expected).mean()),
    }
    try:
        circuit = model.compile(rows, p_error=p_error)
    except RuntimeError as error:
        return {**result, "error": str(error)}
    start = time.perf_counter()
    circuit.keygen(force=True)
    keygen = time.perf_counter() - start
    start = time.perf_counter()
    circuit.decrypt(circuit.run(circuit.encrypt(model.quantize_input(test[:1]))))
    seconds = time.perf_counter() - start
    lookups = circuit.programmable_bootstrap_count
    return {**result, "tableLookups": lookups, "keygenSeconds": keygen, "seconds": [seconds]}


def main(points, n_bits="2", p_error=str(P_ERROR)):
    data = split(int(points))
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(export(Path(name), *data)), flush=True)
        sotto = ["node", str(ROOT / "bench" / "neighbours.mjs"), name]
        for line in subprocess.run(sotto, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
            print(json.dumps({"system": "sotto", "points": int(points), **json.loads(line)}), flush=True)
    print(json.dumps(concrete(int(n_bits), float(p_error), *data)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
