"""What is compared: works (a model with rows and labels) and, per system, the settings that compete on each.

A setting is a dictionary with a unique `name` among the settings of its system and work; the rest is read by the
system's driver only. Both systems get the same grid of bits and rounding.
"""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "test" / "fixtures"

P_ERROR = 2.0**-40
THREADS = 2

# digits: 8 x 8 images, 450 labelled test rows, and calibration rows that are the first training rows.
WORKS = [
    {"name": "digits_mlp", "qat": False},
    {"name": "digits_cnn", "qat": False},
    {"name": "qat_mlp_w3a3", "qat": True},
    {"name": "qat_mlp_w4a4", "qat": True},
    {"name": "qat_cnn_w4a4", "qat": True},
]

N_BITS = [3, 4, 5, 6, 7, 8]
ROUNDING_BITS = [3, 4, 5, 6]

# Choices of sotto alone. Each adds a copy of the whole grid: [label, more arguments of the command].
SOTTO_VARIANTS = [
    ["", []],
    ["tuned", ["--quantization", json.dumps({"perChannelWeights": True, "biasCorrection": True})]],
]
# For models trained with quantization, whose integers are given.
SOTTO_QAT_VARIANTS = [["", []]]

# Settings of sotto outside the grid: [label, arguments of the command], for works trained without and with quantization.
SOTTO_MORE = []
SOTTO_QAT_MORE = []


def roundings(methods):
    """None, and every method with every width."""
    return [None, *({"method": method, "n_bits": bits} for method in methods for bits in ROUNDING_BITS)]


def label(n_bits, rounding, variant=""):
    bits = "QAT" if n_bits is None else f"{n_bits} bits"
    cut = "" if rounding is None else f", {rounding['method']} {rounding['n_bits']}"
    return bits + cut + (f", {variant}" if variant else "")


def concrete_settings(work):
    bits = [None] if work["qat"] else N_BITS
    return [
        {"name": label(n, rounding), "n_bits": n, "rounding": rounding}
        for n in bits
        for rounding in roundings(["exact", "approximate"])
    ]


def sotto_settings(work):
    bits = [None] if work["qat"] else N_BITS
    always = ["--import-qat"] if work["qat"] else []
    grid = []
    for variant, more in SOTTO_QAT_VARIANTS if work["qat"] else SOTTO_VARIANTS:
        for n in bits:
            for rounding in roundings(["exact", "approximate", "fit"]):
                args = [*always, *more]
                if n is not None:
                    args += ["--n-bits", str(n)]
                if rounding is not None:
                    args += ["--rounding-threshold-bits", json.dumps(rounding)]
                grid.append({"name": label(n, rounding, variant), "args": args})
    extra = SOTTO_QAT_MORE if work["qat"] else SOTTO_MORE
    return grid + [{"name": name, "args": [*always, *args]} for name, args in extra]


SETTINGS = {"concrete": concrete_settings, "sotto": sotto_settings}


def fixture(work, name):
    return FIXTURES / work["name"] / name
