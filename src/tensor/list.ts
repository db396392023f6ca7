/**
 * One tensor, or a list where a model has several inputs or outputs.
 * @module
 */
import { asTensor } from "./nested.ts";
import type { Tensor, TensorLike } from "./tensor.ts";

/** One tensor where the model has one input or output, a list where it has several. */
export type TensorOrList = TensorLike | readonly Tensor[];

/** A list of tensors from what a caller may pass. */
export function tensorsOf(x: TensorOrList, where = "tensor"): Tensor[] {
  const isList = Array.isArray(x) && x.length > 0 && x.every((item) => isTensorObject(item));
  const list: readonly TensorLike[] = isList ? x : [x as TensorLike];
  return list.map((item) => asTensor(item, where));
}

function isTensorObject(item: unknown): boolean {
  return typeof item === "object" && item !== null && "shape" in item;
}

/** The only tensor of a list, or the list. */
export function oneOrAll<T extends Tensor | readonly Tensor[]>(tensors: Tensor[]): T {
  return (tensors.length === 1 ? tensors[0] : tensors) as T;
}
