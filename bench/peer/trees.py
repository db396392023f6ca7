"""Trees in Concrete ML: seconds of one encrypted inference, for bench/trees.mjs to be held against.

Usage: python bench/peer/trees.py [ROWS]   in the environment of bench/peer/README.md
"""

import json
import sys
import time

import numpy
from concrete.ml.sklearn import DecisionTreeClassifier, RandomForestClassifier, XGBClassifier
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

BITS = 6
MODELS = {
    "tree, depth 5": lambda: DecisionTreeClassifier(n_bits=BITS, max_depth=5, random_state=0),
    "booster, 20 x depth 3": lambda: XGBClassifier(n_bits=BITS, n_estimators=20, max_depth=3, random_state=0),
    "forest, 20 x depth 4": lambda: RandomForestClassifier(
        n_bits=BITS, n_estimators=20, max_depth=4, random_state=0
    ),
}


def measure(name, model, rows):
    x, y = load_breast_cancer(return_X_y=True)
    train, test, labels, expected = train_test_split(x.astype(numpy.float32), y, random_state=0)
    model.fit(train, labels)
    accuracy = float((model.predict(test) == expected).mean())
    circuit = model.compile(train)
    start = time.perf_counter()
    circuit.keygen()
    keygen = time.perf_counter() - start
    seconds = []
    for row in test[: rows + 1]:
        start = time.perf_counter()
        model.predict(row[None], fhe="execute")
        seconds.append(time.perf_counter() - start)
    # The first run unpacks the keys.
    result = {"model": name, "accuracy": accuracy, "keygen": keygen, "seconds": seconds[1:]}
    print(json.dumps({**result, "lookups": circuit.programmable_bootstrap_count}), flush=True)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for name, make in MODELS.items():
        measure(name, make(), count)
