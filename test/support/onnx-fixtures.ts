/**
 * The recorded models in test/fixtures: bytes, calibration and test inputs, and the outputs of the float model.
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { readNpy } from "./npy.ts";

const root = new URL("../fixtures/", import.meta.url);

/** A recorded model. */
export interface ModelFixture {
  readonly model: Uint8Array;
  /** One tensor per graph input. */
  readonly calibration: readonly Tensor[];
  readonly inputs: readonly Tensor[];
  /** One tensor per graph output, for `inputs`. */
  readonly floatOutputs: readonly Tensor[];
}

/** Names of all recorded models. */
export const modelFixtures: readonly string[] = readdirSync(root)
  .filter((name) => existsSync(new URL(`${name}/model.onnx`, root)))
  .sort();

/** Bytes of a recorded model. */
export function readModelBytes(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`${name}/model.onnx`, root)));
}

/** Reads a recorded model with its arrays. */
export function readModelFixture(name: string): ModelFixture {
  const arrays = (stem: string): Tensor[] => {
    const single = new URL(`${name}/${stem}.npy`, root);
    if (existsSync(single)) return [readNpy(single)];
    const found: Tensor[] = [];
    for (let i = 0; ; i++) {
      const path = new URL(`${name}/${stem}_${i}.npy`, root);
      if (!existsSync(path)) return found;
      found.push(readNpy(path));
    }
  };
  return {
    model: readModelBytes(name),
    calibration: arrays("calibration"),
    inputs: arrays("inputs"),
    floatOutputs: arrays("float_outputs"),
  };
}
