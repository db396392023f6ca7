"""Writes the labels of the calibration rows of the digits fixtures to a file: those of the training part of the same split."""

import sys

import numpy
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from works import FIXTURES

x, y = load_digits(return_X_y=True)
rows, _, labels, _ = train_test_split((x / 16).astype(numpy.float32), y, test_size=0.25, random_state=42)
for name in ("digits_mlp", "qat_mlp_w3a3"):
    calibration = numpy.load(FIXTURES / name / "calibration.npy")
    assert numpy.array_equal(rows[: len(calibration)].reshape(calibration.shape), calibration), name
numpy.save(sys.argv[1], labels)
