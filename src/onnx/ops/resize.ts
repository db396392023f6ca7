/**
 * Resize and its predecessor Upsample. Every mode becomes a short list of weighted taps per element of each axis. Opset 10
 * has two inputs and other meanings; `resolve` states them by the attributes of later opsets.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { interpolate, type Taps } from "../../tensor/interpolate.ts";
import type { Shape, Tensor } from "../../tensor/tensor.ts";
import { known, missing, numbersFrom, numbersOf, sizesOf, wrapAxes } from "./operands.ts";
import { defineOperator, float, int, optionalFloats, optionalInts, string } from "./operator.ts";
import type { AttributesOf, Operand, Operator } from "./operator.ts";
import { originOf, tapsOf, type Interpolation } from "./resize-taps.ts";

type Maybe<T> = T | undefined;
type ResizeInputs<T> = readonly [T, Maybe<T>?, Maybe<T>?, Maybe<T>?];

const resizeAttributes = {
  antialias: int(0),
  axes: optionalInts(),
  coordinate_transformation_mode: string("half_pixel"),
  cubic_coeff_a: float(-0.75),
  exclude_outside: int(0),
  extrapolation_value: float(0),
  keep_aspect_ratio_policy: string("stretch"),
  mode: string("nearest"),
  nearest_mode: string("round_prefer_floor"),
};

type ResizeAttributes = AttributesOf<typeof resizeAttributes>;

/** Resamples to other sizes, given as factors or as sizes. */
export const Resize: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 4,
  since: 10,
  attributes: resizeAttributes,
  shape(inputs: ResizeInputs<Operand>, attributes) {
    const plan = resizePlan(inputs, attributes);
    return [inputs[0].shape.map((size, axis) => plan.get(axis)?.size ?? size)];
  },
  evaluate([x, ...operands]: ResizeInputs<Tensor>, attributes) {
    const [first, second, third] = operands.map((operand) => operand && known(operand));
    const plan = resizePlan([known(x), first, second, third], attributes);
    const taps = x.shape.map((length, axis) => axisTaps(length, plan.get(axis), attributes));
    return [interpolate(x, taps, attributes.extrapolation_value)];
  },
  resolve(_, { axes, mode, ...attributes }, { opset }) {
    if (opset > 10) return { ...attributes, mode, ...(axes && { axes }) };
    return { coordinate_transformation_mode: "asymmetric", mode, nearest_mode: "away" };
  },
});

/** Size of a result along one axis, the factor that led to it, and the part of the input that it shows. */
interface AxisPlan {
  readonly size: number;
  readonly scale: number;
  readonly roi: readonly [number, number];
}

/** The axes that change; an axis of scale 1 is left alone, whatever its size, since a batch has any. */
function resizePlan(
  inputs: ResizeInputs<Operand>,
  attributes: ResizeAttributes,
): ReadonlyMap<number, AxisPlan> {
  const [x] = inputs;
  const [roi, scales, sizes] = statedLists(inputs);
  const rank = x.shape.length;
  const axes = wrapAxes("Resize", attributes.axes ?? x.shape.map((_, axis) => axis), rank);
  const isCropped = attributes.coordinate_transformation_mode === "tf_crop_and_resize";
  const factors = scales ?? factorsOf(axes, x.shape, sizes, attributes);
  checkLength("scales", factors, axes.length);
  const box = isCropped && roi?.length ? roi : [...axes.map(() => 0), ...axes.map(() => 1)];
  checkLength("roi", box, 2 * axes.length);
  const plan = new Map<number, AxisPlan>();
  for (const [i, axis] of axes.entries()) {
    const length = x.shape[axis];
    const scale = factors[i];
    const exact = sizes && attributes.keep_aspect_ratio_policy === "stretch" ? sizes[i] : undefined;
    const rounded = sizes ? Math.floor(scale * length + 0.5) : Math.floor(scale * length);
    const part = [box[i], box[i + axes.length]] as const;
    const isWhole = part[0] === 0 && part[1] === 1;
    if (scale !== 1 || !isWhole) plan.set(axis, { size: exact ?? rounded, scale, roi: part });
  }
  return plan;
}

/** The region, scales and sizes; each undefined where it is absent or empty. */
function statedLists(
  inputs: ResizeInputs<Operand>,
): [readonly number[] | undefined, readonly number[] | undefined, readonly number[] | undefined] {
  // opset 10 has no region before the scales
  const isOpset10 = !inputs[2] && !inputs[3];
  const [, roi, scales, sizes] = isOpset10 ? [inputs[0], undefined, inputs[1]] : inputs;
  const read = (name: string, operand: Operand | undefined): readonly number[] | undefined => {
    if (!operand || operand.shape.includes(0)) return undefined;
    return name === "sizes" ? sizesOf("Resize", name, operand) : numbersOf("Resize", name, operand);
  };
  return [read("roi", roi), read("scales", scales), read("sizes", sizes)];
}

/** Factors that lead to given sizes; a policy other than "stretch" takes one factor for all axes. */
function factorsOf(
  axes: readonly number[],
  shape: Shape,
  sizes: readonly number[] | undefined,
  { keep_aspect_ratio_policy: policy }: ResizeAttributes,
): readonly number[] {
  const wanted = sizes ?? missing("Resize", "one of scales and sizes");
  checkLength("sizes", wanted, axes.length);
  const factors = axes.map((axis, i) => wanted[i] / shape[axis]);
  switch (policy) {
    case "stretch":
      return factors;
    case "not_larger":
      return factors.map(() => Math.min(...factors));
    case "not_smaller":
      return factors.map(() => Math.max(...factors));
    default: {
      const message = `keep_aspect_ratio_policy ${policy}; expected stretch, not_larger or not_smaller`;
      throw new SottoError("BAD_MODEL", "Resize", message);
    }
  }
}

function checkLength(name: string, list: readonly number[], length: number): void {
  if (list.length === length && list.every((item) => item >= 0)) return;
  const message = `expected ${length} ${name} of at least 0, got [${list.join(", ")}]`;
  throw new SottoError("BAD_MODEL", "Resize", message);
}

function axisTaps(
  length: number,
  plan: AxisPlan | undefined,
  attributes: ResizeAttributes,
): Taps | undefined {
  if (!plan) return undefined;
  const { coordinate_transformation_mode: mode, cubic_coeff_a, exclude_outside } = attributes;
  const interpolation: Interpolation = {
    mode: attributes.mode,
    nearest: attributes.nearest_mode,
    cubicCoefficient: cubic_coeff_a,
    isAntialiased: attributes.antialias !== 0,
    excludesOutside: exclude_outside !== 0,
  };
  return Array.from({ length: plan.size }, (_, place) => {
    const origin = originOf(mode, place, { ...plan, length });
    const isOutside = origin < 0 || origin > length - 1;
    if (mode === "tf_crop_and_resize" && isOutside) return null;
    return tapsOf(origin, length, plan.scale, interpolation);
  });
}

/** Enlarges by factors, as opsets 7 to 9 have it: coordinates are divided by the factors. */
export const Upsample: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 2,
  since: 7,
  attributes: { mode: string("nearest"), scales: optionalFloats() },
  shape: ([x, scales]: readonly [Operand, Operand?], attributes) => {
    const factors = upsampleFactors(x.shape, scales, attributes);
    return [x.shape.map((size, axis) => Math.floor(size * factors[axis]))];
  },
  evaluate([x, list]: readonly [Tensor, Tensor?], attributes) {
    const factors = upsampleFactors(x.shape, list && known(list), attributes);
    const { mode } = attributes;
    const interpolation: Interpolation = {
      mode,
      nearest: "floor",
      cubicCoefficient: -0.75,
      isAntialiased: false,
      excludesOutside: false,
    };
    const taps = x.shape.map((length, axis): Taps | undefined => {
      const scale = factors[axis];
      if (scale === 1) return undefined;
      return Array.from({ length: Math.floor(length * scale) }, (_, place) =>
        tapsOf(place / scale, length, scale, interpolation),
      );
    });
    return [interpolate(x, taps, 0)];
  },
});

function upsampleFactors(
  shape: Shape,
  operand: Operand | undefined,
  { scales }: { readonly scales: readonly number[] | undefined },
): readonly number[] {
  const factors =
    numbersFrom("Upsample", "scales", operand, scales) ?? missing("Upsample", "scales");
  if (factors.length === shape.length && factors.every((factor) => factor >= 1)) return factors;
  const message = `expected ${shape.length} scales of at least 1, got [${factors.join(", ")}]`;
  throw new SottoError("BAD_MODEL", "Upsample", message);
}
