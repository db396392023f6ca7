"""What is compared: works (a model with rows and labels) and, per system, the settings that compete on each.

A setting is a dictionary with a unique `name` among the settings of its system and work; the rest is read by the
system's driver only.
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

# Choices of sotto alone: quantization with what costs nothing, tables of 64 steps that bear noise, chosen for this CPU.
COST_MODEL = ["--cost-model", "avx512" if "avx512f" in Path("/proc/cpuinfo").read_text() else "avx2"]
TUNED = {
    "": {"perChannelWeights": True, "biasCorrection": True},
    ", mse": {"perChannelWeights": True, "biasCorrection": True, "calibration": "mse"},
}
FIT = {"method": "fit", "n_bits": 6}
INTERIOR_NOISE = [0.015, 0.03]
# Models trained without quantization keep their accuracy with these bits; fewer and more were tried.
SOTTO_BITS = [3, 4, 5, 6]
# Less noise, finer steps, for the last tenths of accuracy: [bits of steps, noise].
FINER = [(7, 0.005), (8, 0.004)]
# Settings that promise the right step of every table at the failure probability, for comparison.
PROMISED = [
    *((bits, "fit", steps) for bits, steps in [(4, 4), (5, 4), (5, 5), (5, 6), (6, 5), (6, 6)]),
    (5, "approximate", 5),
    (6, "approximate", 6),
]


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


def sotto_setting(name, work, n_bits, rounding, more):
    args = [*COST_MODEL, *(["--import-qat"] if work["qat"] else ["--n-bits", str(n_bits)])]
    return {"name": name, "args": [*args, "--rounding-threshold-bits", cli_rounding(rounding), *more]}


def cli_rounding(rounding):
    return json.dumps({"method": rounding["method"], "nBits": rounding["n_bits"]})


def sotto_settings(work):
    found = []
    for n in [None] if work["qat"] else SOTTO_BITS:
        for noise in INTERIOR_NOISE:
            for variant, choices in {"": None}.items() if work["qat"] else TUNED.items():
                more = ["--interior-noise", str(noise)]
                more += ["--quantization", json.dumps(choices)] if choices else []
                name = label(n, FIT, f"noise {noise}{variant}")
                found.append(sotto_setting(name, work, n, FIT, more))
    for bits, noise in [] if work["qat"] else FINER:
        rounding = {"method": "fit", "n_bits": bits}
        more = ["--interior-noise", str(noise), "--quantization", json.dumps({"biasCorrection": True})]
        found.append(sotto_setting(label(5, rounding, f"noise {noise}"), work, 5, rounding, more))
    promised = [(None, "fit", 5), (None, "approximate", 5)] if work["qat"] else PROMISED
    for n, method, bits in promised:
        rounding = {"method": method, "n_bits": bits}
        found.append(sotto_setting(label(n, rounding), work, n, rounding, []))
    return found


SETTINGS = {"concrete": concrete_settings, "sotto": sotto_settings}


def fixture(work, name):
    return FIXTURES / work["name"] / name
