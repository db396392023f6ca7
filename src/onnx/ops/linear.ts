/**
 * Linear operators: matrix products and convolutions.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { conv, windowPositions, type Window } from "../../tensor/conv.ts";
import { add, scaleBy } from "../../tensor/elementwise.ts";
import { matmul, matmulShape } from "../../tensor/matmul.ts";
import { transpose } from "../../tensor/strided.ts";
import { broadcastShapes, type Shape, type Tensor } from "../../tensor/tensor.ts";
import { defineOperator, float, int, optionalInts, string } from "./operator.ts";
import type { Operand, Operator } from "./operator.ts";

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

interface ConvAttributes {
  readonly auto_pad: string;
  readonly dilations: readonly number[] | undefined;
  readonly group: number;
  readonly kernel_shape: readonly number[] | undefined;
  readonly pads: readonly number[] | undefined;
  readonly strides: readonly number[] | undefined;
}

/** Convolution over one or two spatial axes. `auto_pad` is resolved into `pads` when a model is imported. */
export const Conv: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 3,
  since: 1,
  attributes: {
    auto_pad: string("NOTSET"),
    dilations: optionalInts(),
    group: int(1),
    kernel_shape: optionalInts(),
    pads: optionalInts(),
    strides: optionalInts(),
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
    if (b && (b.shape.length !== 1 || b.shape[0] !== filters)) {
      const got = `[${b.shape.join(", ")}]`;
      throw new SottoError(
        "BAD_SHAPE",
        "Conv",
        `expected a bias of shape [${filters}], got ${got}`,
      );
    }
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
function convWindow(x: Shape, w: Shape, attributes: ConvAttributes): Window {
  const rank = x.length - 2;
  if ((rank !== 1 && rank !== 2) || w.length !== x.length) {
    const got = `input [${x.join(", ")}] and weights [${w.join(", ")}]`;
    const message = `expected one or two spatial axes, got ${got}`;
    throw new SottoError("UNSUPPORTED_OPERATOR", "Conv", message);
  }
  const ones = Array.from({ length: rank }, () => 1);
  const kernel = w.slice(2);
  const strides = attributes.strides ?? ones;
  const dilations = attributes.dilations ?? ones;
  checkList("kernel_shape", attributes.kernel_shape ?? kernel, rank, 1);
  checkList("strides", strides, rank, 1);
  checkList("dilations", dilations, rank, 1);
  if (attributes.kernel_shape?.some((size, axis) => size !== kernel[axis])) {
    const got = `[${attributes.kernel_shape.join(", ")}]`;
    const message = `kernel_shape ${got} does not match the weights [${w.join(", ")}]`;
    throw new SottoError("BAD_SHAPE", "Conv", message);
  }
  const pads = resolvePads(x.slice(2), { kernel, strides, dilations }, attributes);
  checkList("pads", pads, 2 * rank, 0);
  return { kernel, strides, pads, dilations };
}

/** `auto_pad` as explicit pads: SAME_* gives ceil(size / stride) positions, the odd pad at the end or the beginning. */
function resolvePads(
  spatial: Shape,
  { kernel, strides, dilations }: Omit<Window, "pads">,
  { auto_pad: mode, pads }: ConvAttributes,
): readonly number[] {
  const none = Array.from({ length: 2 * spatial.length }, () => 0);
  if (mode === "NOTSET") return pads ?? none;
  if (mode === "VALID") return none;
  if (mode !== "SAME_UPPER" && mode !== "SAME_LOWER") {
    const expected = "expected NOTSET, VALID, SAME_UPPER or SAME_LOWER";
    throw new SottoError("UNSUPPORTED_OPERATOR", "Conv", `auto_pad ${mode}; ${expected}`);
  }
  const totals = spatial.map((size, axis) => {
    const extent = (kernel[axis] - 1) * dilations[axis] + 1;
    return Math.max((Math.ceil(size / strides[axis]) - 1) * strides[axis] + extent - size, 0);
  });
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total) => Math.ceil(total / 2));
  return mode === "SAME_UPPER" ? [...small, ...large] : [...large, ...small];
}

function checkList(name: string, list: readonly number[], length: number, least: number): void {
  if (list.length === length && list.every((item) => item >= least)) return;
  const expected = `expected ${length} integers of at least ${least}`;
  throw new SottoError("BAD_MODEL", "Conv", `${name} [${list.join(", ")}]; ${expected}`);
}
