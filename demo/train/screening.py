"""Trains the demo's tabular classifier and writes demo/model/screening* and web/models/screening.json. See README.md.

Six numbers of a breast mass (the Wisconsin data that scikit-learn ships), each scaled to 0..1 over the range of the training
rows, tell benign from malignant. The page scales; the model reads 0..1.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

SEED = 0
HIDDEN = 8
ROOT = Path(__file__).resolve().parent.parent.parent
MODEL_FOLDER = ROOT / "demo" / "model"
LABELS = ROOT / "web" / "models" / "screening.json"
FEATURES = {
    "mean radius": "Radius",
    "mean texture": "Texture",
    "mean area": "Area",
    "mean smoothness": "Smoothness",
    "mean concavity": "Concavity",
    "mean concave points": "Concave points",
}


def export(network: MLPClassifier) -> onnx.ModelProto:
    """Gemm, Relu, Gemm with one score per class: sklearn's single logit z becomes the scores (-z, z)."""
    first, second = (np.asarray(w, np.float32) for w in network.coefs_)
    bias, logit = (np.asarray(b, np.float32) for b in network.intercepts_)
    constants = {
        "w1": first,
        "b1": bias,
        "w2": np.concatenate([-second, second], axis=1),
        "b2": np.concatenate([-logit, logit]),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "w1", "b1"], ["hidden"], name="hidden"),
            helper.make_node("Relu", ["hidden"], ["active"], name="relu"),
            helper.make_node("Gemm", ["active", "w2", "b2"], ["scores"], name="scores"),
        ],
        "screening",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, len(FEATURES)])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main() -> None:
    data = load_breast_cancer()
    names = list(data.feature_names)
    rows = data.data[:, [names.index(name) for name in FEATURES]]
    malignant = (data.target == 0).astype(int)
    train, test, train_labels, test_labels = train_test_split(
        rows, malignant, test_size=150, random_state=SEED, stratify=malignant
    )
    low, high = train.min(axis=0), train.max(axis=0)
    scale = lambda values: ((values - low) / (high - low)).astype(np.float32)
    network = MLPClassifier((HIDDEN,), max_iter=4000, alpha=1e-3, random_state=SEED)
    network.fit(scale(train), train_labels)
    print(f"accuracy on {len(test)} test rows: {network.score(scale(test), test_labels):.4f}")
    onnx.save(export(network), MODEL_FOLDER / "screening.onnx")
    np.save(MODEL_FOLDER / "screening-calibration.npy", scale(train)[:200])
    np.save(MODEL_FOLDER / "screening-rows.npy", scale(test))
    np.save(MODEL_FOLDER / "screening-labels.npy", test_labels.astype(np.float32))
    typical = np.median(train, axis=0)
    inputs = [
        {
            "label": label,
            "low": round(float(low[i]), 4),
            "high": round(float(high[i]), 4),
            "value": round(float(typical[i]), 4),
        }
        for i, label in enumerate(FEATURES.values())
    ]
    LABELS.parent.mkdir(exist_ok=True)
    labels = {"inputs": inputs, "classes": ["benign", "malignant"]}
    LABELS.write_text(json.dumps(labels, indent=2) + "\n")


if __name__ == "__main__":
    main()
