/**
 * Linear operators: matrix products and convolutions.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { conv, convTranspose, windowPositions, type Window } from "../../tensor/conv.ts";
import { add, scaleBy } from "../../tensor/elementwise.ts";
import { matmul, matmulShape } from "../../tensor/matmul.ts";
import { transpose } from "../../tensor/strided.ts";
import { broadcastShapes, type Shape, type Tensor } from "../../tensor/tensor.ts";
import { defineOperator, float, int, optionalInts } from "./operator.ts";
import type { Operand, Operator } from "./operator.ts";
import { checkInts, resolveWindow, windowAttributes, type WindowAttributes } from "./window.ts";

/**
 * `alpha A' B' + beta C`. Unlike ONNX's own, A may have any number of axes: the importer makes a Gemm of every MatMul
 * whose only reader adds a constant.
 */
export const Gemm: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 3,
  since: 1,
  attributes: { alpha: float(1), beta: float(1), transA: int(0), transB: int(0) },
  shape([a, b, c]: readonly [Operand, Operand, Operand?], { transA, transB }) {
    const product = matmulShape(flipShape(a.shape, transA), flipShape(b.shape, transB));
    return [c ? broadcastShapes(product, c.shape) : product];
  },
  evaluate([a, b, c]: readonly [Tensor, Tensor, Tensor?], { alpha, beta, transA, transB }) {
    const product = matmul(transA ? flip(a) : a, transB ? flip(b) : b);
    const scaled = alpha === 1 ? product : scaleBy(product, alpha);
    if (!c || beta === 0) return [scaled];
    return [add(scaled, beta === 1 ? c : scaleBy(c, beta))];
  },
});

function flipShape(shape: Shape, isFlipped: number): Shape {
  if (!isFlipped) return shape;
  if (shape.length !== 2) {
    const message = `expected a matrix to transpose, got shape [${shape.join(", ")}]`;
    throw new SottoError("BAD_SHAPE", "Gemm", message);
  }
  return [shape[1], shape[0]];
}

function flip(input: Tensor): Tensor {
  flipShape(input.shape, 1);
  return transpose(input);
}

/** Matrix product with numpy's rules for stacks of matrices and vectors. */
export const MatMul: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 1,
  attributes: {},
  shape: ([a, b]: readonly [Operand, Operand]) => [matmulShape(a.shape, b.shape)],
  evaluate: ([a, b]: readonly [Tensor, Tensor]) => [matmul(a, b)],
});

/** Convolution over any number of spatial axes. `auto_pad` is resolved into `pads` when a model is imported. */
export const Conv: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 3,
  since: 1,
  attributes: {
    ...windowAttributes,
    group: int(1),
  },
  shape([x, w, b]: readonly [Operand, Operand, Operand?], attributes) {
    const window = convWindow(x.shape, w.shape, attributes);
    const [batch, channels, ...spatial] = x.shape;
    const [filters, perGroup] = w.shape;
    const { group } = attributes;
    if (group < 1 || channels !== perGroup * group || filters % group !== 0) {
      const got = `${channels} channels for weights [${w.shape.join(", ")}] in ${group} groups`;
      throw new SottoError("BAD_SHAPE", "Conv", `channels do not match: ${got}`);
    }
    checkBias("Conv", b?.shape, filters);
    return [[batch, filters, ...windowPositions(spatial, window)]];
  },
  evaluate([x, w, b]: readonly [Tensor, Tensor, Tensor?], attributes) {
    const window = convWindow(x.shape, w.shape, attributes);
    return [conv(x, w, { ...window, group: attributes.group, bias: b })];
  },
  resolve([x, w]: readonly [Operand, Operand, Operand?], attributes) {
    const { kernel, strides, pads, dilations } = convWindow(x.shape, w.shape, attributes);
    return { dilations, group: attributes.group, kernel_shape: kernel, pads, strides };
  },
});

/** Window of a Conv for given input and weight shapes, with defaults and `auto_pad` resolved. */
function convWindow(x: Shape, w: Shape, attributes: WindowAttributes): Window {
  const kernel = kernelOf("Conv", x, w, attributes.kernel_shape);
  return resolveWindow("Conv", x.slice(2), kernel, attributes);
}

/** Upsampling convolution: its result is what a Conv with the same attributes and weights makes the input of. */
export const ConvTranspose: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 3,
  since: 1,
  attributes: {
    ...windowAttributes,
    group: int(1),
    output_padding: optionalInts(),
    output_shape: optionalInts(),
  },
  shape([x, w, b]: readonly [Operand, Operand, Operand?], attributes) {
    const [batch, channels] = x.shape;
    const { group } = attributes;
    const filters = (w.shape[1] ?? 0) * group;
    if (group < 1 || channels !== w.shape[0] || channels % group !== 0) {
      const got = `${channels} channels for weights [${w.shape.join(", ")}] in ${group} groups`;
      throw new SottoError("BAD_SHAPE", "ConvTranspose", `channels do not match: ${got}`);
    }
    checkBias("ConvTranspose", b?.shape, filters);
    return [[batch, filters, ...transposedWindow(x.shape, w.shape, attributes).result]];
  },
  evaluate([x, w, b]: readonly [Tensor, Tensor, Tensor?], attributes) {
    const { window, result } = transposedWindow(x.shape, w.shape, attributes);
    return [convTranspose(x, w, { ...window, group: attributes.group, bias: b, result })];
  },
  resolve([x, w]: readonly [Operand, Operand, Operand?], attributes) {
    const { window, outputPadding } = transposedWindow(x.shape, w.shape, attributes);
    const { kernel, strides, pads, dilations } = window;
    const { group } = attributes;
    return {
      dilations,
      group,
      kernel_shape: kernel,
      output_padding: outputPadding,
      pads,
      strides,
    };
  },
});

interface TransposedAttributes extends WindowAttributes {
  readonly output_padding: readonly number[] | undefined;
  readonly output_shape: readonly number[] | undefined;
}

interface TransposedWindow {
  readonly window: Window;
  /** Sizes of the result's spatial axes. */
  readonly result: readonly number[];
  /** Rows that the result has beyond what the windows reach, along each axis. */
  readonly outputPadding: readonly number[];
}

/** The window that slides over the result, and the size of the result, from which `auto_pad` follows here. */
function transposedWindow(x: Shape, w: Shape, attributes: TransposedAttributes): TransposedWindow {
  const kernel = kernelOf("ConvTranspose", x, w, attributes.kernel_shape);
  const spatial = x.slice(2);
  const zeros = spatial.map(() => 0);
  const { auto_pad: mode, output_shape: wanted, output_padding: extra = zeros } = attributes;
  const isSame = mode === "SAME_UPPER" || mode === "SAME_LOWER";
  const window = resolveWindow("ConvTranspose", spatial, kernel, {
    ...attributes,
    auto_pad: isSame ? "NOTSET" : mode,
  });
  checkInts("ConvTranspose", "output_padding", extra, { length: spatial.length, least: 0 });
  const { strides, dilations, pads } = window;
  const reach = spatial.map(
    (size, axis) => (size - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1,
  );
  if (!wanted && !isSame) {
    const result = reach.map(
      (size, axis) => size + extra[axis] - pads[axis] - pads[axis + spatial.length],
    );
    checkInts("ConvTranspose", "result", result, { length: spatial.length, least: 1 });
    return { window, result, outputPadding: extra };
  }
  const result = wanted
    ? wanted.slice(-spatial.length)
    : spatial.map((size, axis) => size * strides[axis]);
  checkInts("ConvTranspose", "output_shape", result, { length: spatial.length, least: 1 });
  const surplus = reach.map((size, axis) => size + extra[axis] - result[axis]);
  const totals = surplus.map((total) => Math.max(total, 0));
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total) => Math.ceil(total / 2));
  return {
    window: {
      ...window,
      pads: mode === "SAME_UPPER" ? [...small, ...large] : [...large, ...small],
    },
    result,
    outputPadding: surplus.map((total, axis) => extra[axis] + Math.max(-total, 0)),
  };
}

/** Sizes of the kernel, from the weights; `kernel_shape` may only repeat them. */
function kernelOf(
  operator: string,
  x: Shape,
  w: Shape,
  stated: readonly number[] | undefined,
): readonly number[] {
  if (x.length < 3 || w.length !== x.length) {
    const got = `input [${x.join(", ")}] and weights [${w.join(", ")}]`;
    throw new SottoError("BAD_SHAPE", operator, `expected one or more spatial axes, got ${got}`);
  }
  const kernel = w.slice(2);
  checkInts(operator, "kernel_shape", stated ?? kernel, { length: kernel.length, least: 1 });
  if (stated?.some((size, axis) => size !== kernel[axis])) {
    const got = `[${stated.join(", ")}]`;
    const message = `kernel_shape ${got} does not match the weights [${w.join(", ")}]`;
    throw new SottoError("BAD_SHAPE", operator, message);
  }
  return kernel;
}

function checkBias(operator: string, bias: Shape | undefined, filters: number): void {
  if (!bias || (bias.length === 1 && bias[0] === filters)) return;
  const got = `[${bias.join(", ")}]`;
  throw new SottoError("BAD_SHAPE", operator, `expected a bias of shape [${filters}], got ${got}`);
}
