"""Trains the demo's digit classifier and writes demo/model/. See README.md in this folder.

The model is trained as it will run: weights rounded to 5 bits, what enters a ReLU to 16 levels. Each element that a ReLU
puts out is one encrypted table lookup: 14 * 3 * 3 + 32 = 158 per image.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

SEED = 0
TEST_IMAGES = 450
CALIBRATION_IMAGES = 300
EPOCHS = 150
FLOAT_EPOCHS = 40  # before rounding starts
BATCH = 64
WEIGHT_BITS = 5
ACTIVATION_LEVELS = 32
LOOKUP_LEVELS = 16
MODEL_FOLDER = Path(__file__).resolve().parent.parent / "model"


def build_model() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 14, kernel_size=4, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(14 * 3 * 3, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


def straight_through(exact: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    """The rounded value, with the gradient of the exact one."""
    return exact + (rounded - exact).detach()


def round_weights(weight: torch.Tensor) -> torch.Tensor:
    largest = 2 ** (WEIGHT_BITS - 1) - 1
    scale = weight.detach().abs().max() / largest
    return straight_through(weight, (weight / scale).round() * scale)


def round_to_levels(x: torch.Tensor, levels: int) -> torch.Tensor:
    low, high = x.detach().min(), x.detach().max()
    step = (high - low) / (levels - 1)
    return straight_through(x, ((x - low) / step).round() * step + low)


def forward_rounded(model: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    """model(x) with the rounding errors of the encrypted program."""
    x = round_to_levels(x, ACTIVATION_LEVELS)
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            x = functional.conv2d(x, round_weights(layer.weight), layer.bias, layer.stride)
        elif isinstance(layer, nn.Linear):
            x = functional.linear(x, round_weights(layer.weight), layer.bias)
        elif isinstance(layer, nn.ReLU):
            x = round_to_levels(torch.relu(round_to_levels(x, LOOKUP_LEVELS)), ACTIVATION_LEVELS)
        else:
            x = layer(x)
    return x


def jitter(images: torch.Tensor) -> torch.Tensor:
    """Each image slightly turned, scaled and moved."""
    count = len(images)
    angle = 0.3 * (torch.rand(count) - 0.5)
    size = 1 + 0.2 * (torch.rand(count) - 0.5)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = torch.cos(angle) * size
    theta[:, 0, 1] = -torch.sin(angle)
    theta[:, 1, 0] = torch.sin(angle)
    theta[:, 1, 1] = torch.cos(angle) * size
    theta[:, :, 2] = 0.3 * (torch.rand(count, 2) - 0.5)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def train(images: torch.Tensor, labels: torch.Tensor) -> nn.Sequential:
    model = build_model()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    batches = -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, EPOCHS * batches)
    for epoch in range(EPOCHS):
        for chosen in torch.randperm(len(images)).split(BATCH):
            inputs = jitter(images[chosen])
            scores = model(inputs) if epoch < FLOAT_EPOCHS else forward_rounded(model, inputs)
            loss = functional.cross_entropy(scores, labels[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if (epoch + 1) % 25 == 0:
            print(f"epoch {epoch + 1} of {EPOCHS}: loss {loss.item():.3f}", flush=True)
    return model.eval()


def main() -> None:
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # the same sums in the same order on every machine
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[:, np.newaxis]
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, digits.target, test_size=TEST_IMAGES, stratify=digits.target, random_state=SEED
    )
    model = train(torch.tensor(train_images), torch.tensor(train_labels))

    with torch.no_grad():
        right = model(torch.tensor(test_images)).argmax(1).numpy() == test_labels
    print(f"float accuracy on {TEST_IMAGES} test images: {100 * right.mean():.2f} %")

    MODEL_FOLDER.mkdir(exist_ok=True)
    torch.onnx.export(
        model,
        torch.tensor(test_images[:1]),
        str(MODEL_FOLDER / "digits.onnx"),
        opset_version=17,
        input_names=["image"],
        output_names=["scores"],
        dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}},
        dynamo=False,
    )
    onnx.checker.check_model(str(MODEL_FOLDER / "digits.onnx"), full_check=True)
    np.save(MODEL_FOLDER / "calibration.npy", train_images[:CALIBRATION_IMAGES])
    np.save(MODEL_FOLDER / "test-images.npy", test_images)
    np.save(MODEL_FOLDER / "test-labels.npy", test_labels.astype(np.int64))


if __name__ == "__main__":
    main()
