/**
 * Two ways to run a quantized operator's lowering: on calibration tensors at once, or as values appended to a circuit.
 * Both go through `emit`, so that calibration and the circuit cannot disagree.
 * @module
 */
import type { Interval } from "./interval.ts";
import { unreachable } from "../errors.ts";
import type { PerChannel } from "../tensor/codes.ts";
import { windowPositions } from "../tensor/conv.ts";
import { matmulShape } from "../tensor/matmul.ts";
import { type Tensor, broadcastShapes, float64, sizeOf } from "../tensor/tensor.ts";
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

/** Shape of an operation's result on one row; that of a float operator follows from a row of zeros. */
export function inferShape(
  op: CircuitOp,
  inputs: readonly (readonly number[])[],
): readonly number[] {
  const [x] = inputs;
  switch (op.kind) {
    case "input":
      throw new Error("internal: an input is declared with its shape");
    case "matmul":
      return matmulShape(x, op.weights.shape);
    case "conv": {
      const [filters, , ...kernel] = op.weights.shape;
      return [x[0], filters, ...windowPositions(x.slice(2), { ...op.geometry, kernel })];
    }
    case "add":
    case "sub":
      return broadcastShapes(x, inputs[1]);
    case "shift":
      return typeof op.by === "number" ? x : broadcastShapes(x, op.by.shape);
    case "reshape":
    case "gather":
      return [x[0], ...op.shape.slice(1)];
    case "oneHot":
      return [x[0], op.sizes.reduce((sum, size) => sum + size, 0)];
    case "select":
      return [x[0], op.features.length];
    case "round":
    case "fit":
    case "table":
    case "extractBit":
      return x;
    case "dequantize":
      return broadcastShapes(broadcastShapes(x, shapeOf(op.scale)), shapeOf(op.zeroPoint));
    case "quantize":
    case "list":
      return x;
    case "float":
      return applyOp(
        op,
        inputs.map((shape) => float64(shape, new Float64Array(sizeOf(shape)))),
      ).shape;
    default:
      return unreachable(op);
  }
}

function shapeOf(value: PerChannel): readonly number[] {
  return typeof value === "number" ? [] : value.shape;
}
