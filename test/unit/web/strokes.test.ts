/**
 * From strokes to the images that the digits model knows.
 */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readArray } from "../../../src/cli/read-array.ts";
import { compileOnnxModel } from "../../../src/compile.ts";
import { SIDE, imageOf } from "../../../web/src/strokes.ts";
import { strokesOf } from "../../support/digit-strokes.ts";

const PIXELS = SIDE * SIDE;
const path = (name: string): string =>
  fileURLToPath(new URL(`../../../demo/model/${name}`, import.meta.url));

test("images are empty without strokes and full of ink where strokes are", () => {
  expect(imageOf([]).every((value) => value === 0)).toBe(true);
  const bar = imageOf([
    [
      { x: 0.5, y: 0.1 },
      { x: 0.5, y: 0.9 },
    ],
  ]);
  // A vertical bar fills the height, in the middle; nothing is at the sides.
  for (let row = 0; row < SIDE; row++) {
    expect(bar[row * SIDE]).toBe(0);
    expect(bar[row * SIDE + 3] + bar[row * SIDE + 4]).toBeGreaterThan(0.5);
  }
});

test("size and place of a drawing do not matter", () => {
  const drawn = [
    [
      { x: 0.2, y: 0.2 },
      { x: 0.6, y: 0.5 },
      { x: 0.3, y: 0.9 },
    ],
  ];
  const moved = drawn.map((stroke) =>
    stroke.map(({ x, y }) => ({ x: 0.3 + x / 2, y: 0.1 + y / 2 })),
  );
  expect(imageOf(moved)).toEqual(imageOf(drawn));
});

test("the model reads drawn digits of the test set", async () => {
  const images = await readArray(path("test-images.npy"));
  const { data: labels } = await readArray(path("test-labels.npy"));
  const model = await compileOnnxModel(
    path("digits.onnx"),
    await readArray(path("calibration.npy")),
    { nBits: 5, roundingThresholdBits: { nBits: 6, method: "fit" }, interiorNoise: 0.015 },
  );
  const drawn = Float32Array.from(
    Array.from(labels).flatMap((_, i) => [
      ...imageOf(strokesOf(images.data.subarray(i * PIXELS, (i + 1) * PIXELS))),
    ]),
  );
  const scores = model.forward({ shape: [labels.length, 1, SIDE, SIDE], data: drawn });
  const classes = scores.data.length / labels.length;
  const right = Array.from(labels).filter((label, i) => {
    const row = scores.data.slice(i * classes, (i + 1) * classes);
    return row.indexOf(Math.max(...row)) === label;
  });
  expect(right.length / labels.length).toBeGreaterThan(0.92); // 0.938 here
});
