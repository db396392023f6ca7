/**
 * The recorded PyTorch programs in test/fixtures/torch: archives of several versions, the ONNX export, rows and outputs.
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { readNpy } from "./npy.ts";

const root = new URL("../fixtures/torch/", import.meta.url);

/** Names of the recorded networks. */
export const torchFixtures: readonly string[] = readdirSync(root)
  .filter((name) => existsSync(new URL(`${name}/model.pt2`, root)))
  .sort();

/** Archives of a network, the newest layout first. */
export function archivesOf(name: string): string[] {
  return readdirSync(new URL(`${name}/`, root))
    .filter((file) => file.endsWith(".pt2"))
    .sort();
}

/** True if a network's folder has a file. */
export function hasTorchFile(name: string, file: string): boolean {
  return existsSync(new URL(`${name}/${file}`, root));
}

/** A file of a network's folder. */
export function readTorchFile(name: string, file: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`${name}/${file}`, root)));
}

/** The arrays of a stem: `inputs.npy`, or `inputs_0.npy` and so on. */
export function readTorchArrays(name: string, stem: string): Tensor[] {
  const single = new URL(`${name}/${stem}.npy`, root);
  if (existsSync(single)) return [readNpy(single)];
  const found: Tensor[] = [];
  for (let i = 0; ; i++) {
    const path = new URL(`${name}/${stem}_${i}.npy`, root);
    if (!existsSync(path)) return found;
    found.push(readNpy(path));
  }
}
