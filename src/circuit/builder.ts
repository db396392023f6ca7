/**
 * Two ways to run a quantized operator's lowering: on calibration tensors at once, or as values appended to a circuit.
 * Both go through `emit`, so that calibration and the circuit cannot disagree.
 * @module
 */
import type { Interval } from "./interval.ts";
import { type Tensor, float64, int64, sizeOf } from "../tensor/tensor.ts";
import { applyOp } from "./apply.ts";
import { type Circuit, type CircuitOp, type CircuitValue, type ValueId, valueId } from "./ir.ts";

/** Where operations go; `V` is a tensor or the id of a circuit value. */
export interface Target<V> {
  /** Applies one operation to earlier values. */
  emit(op: CircuitOp, inputs: readonly V[], name: string): V;
  /** Shape with the batch axis first. */
  shapeOf(value: V): readonly number[];
  /** Smallest and largest element where values are at hand, null in a circuit; `id` names the request. */
  intervalOf(value: V, id: string): Interval | null;
}

/** Runs operations at once on batches of calibration rows; tells every interval that a lowering asks for. */
export function eagerTarget(onInterval: (interval: Interval, id: string) => void): Target<Tensor> {
  return {
    emit: (op, inputs) => applyOp(op, inputs),
    shapeOf: (value) => value.shape,
    intervalOf(value, id) {
      const interval = measureInterval(value);
      onInterval(interval, id);
      return interval;
    },
  };
}

/** Smallest and largest element of a tensor of integers. */
export function measureInterval(value: Tensor): Interval {
  let lo = Infinity;
  let hi = -Infinity;
  for (const x of value.data) {
    if (x < lo) lo = x;
    if (x > hi) hi = x;
  }
  return { lo, hi };
}

/** Appends operations to a circuit under construction. */
export class CircuitBuilder implements Target<ValueId> {
  readonly #values: CircuitValue[] = [];

  emit(op: CircuitOp, inputs: readonly ValueId[], name: string): ValueId {
    const shape = inferShape(
      op,
      inputs.map((id) => this.#values[id].shape),
    );
    this.#values.push({ op, inputs, shape, name, bounds: null });
    return valueId(this.#values.length - 1);
  }

  /** Declares input `index` with its shape (batch axis first) and the interval of its codes. */
  input(index: number, shape: readonly number[], interval: Interval, name: string): ValueId {
    this.#values.push({
      op: { kind: "input", index, interval },
      inputs: [],
      shape,
      name,
      bounds: null,
    });
    return valueId(this.#values.length - 1);
  }

  shapeOf(value: ValueId): readonly number[] {
    return this.#values[value].shape;
  }

  intervalOf(): null {
    return null;
  }

  finish(outputs: readonly ValueId[]): Circuit {
    return { values: [...this.#values], outputs: [...outputs] };
  }
}

/** Shape of an operation's result: that of one row of zeros. */
export function inferShape(
  op: CircuitOp,
  inputs: readonly (readonly number[])[],
): readonly number[] {
  if (op.kind === "fit" || op.kind === "table") return inputs[0]; // its interval may still be open
  if (op.kind === "dequantize" || op.kind === "quantize" || op.kind === "float") {
    return applyOp(
      op,
      inputs.map((shape) => float64(shape, new Float64Array(sizeOf(shape)))),
    ).shape;
  }
  return applyOp(
    op,
    inputs.map((shape) => int64(shape, new Float64Array(sizeOf(shape)))),
  ).shape;
}
