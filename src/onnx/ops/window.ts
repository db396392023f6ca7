/**
 * The attributes that convolutions and poolings share: a window that slides over spatial axes.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { Window } from "../../tensor/conv.ts";
import type { Shape } from "../../tensor/tensor.ts";
import { optionalInts, string, type AttributesOf, type AttributeSpec } from "./operator.ts";

/** Declarations of the shared attributes. */
export const windowAttributes: {
  readonly auto_pad: AttributeSpec<string>;
  readonly dilations: AttributeSpec<readonly number[] | undefined>;
  readonly kernel_shape: AttributeSpec<readonly number[] | undefined>;
  readonly pads: AttributeSpec<readonly number[] | undefined>;
  readonly strides: AttributeSpec<readonly number[] | undefined>;
} = {
  auto_pad: string("NOTSET"),
  dilations: optionalInts(),
  kernel_shape: optionalInts(),
  pads: optionalInts(),
  strides: optionalInts(),
};

/** The shared attributes of a node. */
export type WindowAttributes = AttributesOf<typeof windowAttributes>;

/** The window over a spatial shape, with defaults and `auto_pad` resolved. */
export function resolveWindow(
  operator: string,
  spatial: Shape,
  kernel: readonly number[],
  attributes: Omit<WindowAttributes, "kernel_shape">,
): Window {
  const rank = spatial.length;
  const ones = Array.from({ length: rank }, () => 1);
  const strides = attributes.strides ?? ones;
  const dilations = attributes.dilations ?? ones;
  checkInts(operator, "kernel_shape", kernel, { length: rank, least: 1 });
  checkInts(operator, "strides", strides, { length: rank, least: 1 });
  checkInts(operator, "dilations", dilations, { length: rank, least: 1 });
  const pads = resolvePads(operator, spatial, { kernel, strides, dilations }, attributes);
  checkInts(operator, "pads", pads, { length: 2 * rank, least: 0 });
  return { kernel, strides, pads, dilations };
}

/** `auto_pad` as explicit pads: SAME_* gives ceil(size / stride) positions, the odd pad at the end or the beginning. */
function resolvePads(
  operator: string,
  spatial: Shape,
  { kernel, strides, dilations }: Omit<Window, "pads">,
  { auto_pad: mode, pads }: Pick<WindowAttributes, "auto_pad" | "pads">,
): readonly number[] {
  const none = Array.from({ length: 2 * spatial.length }, () => 0);
  if (mode === "NOTSET") return pads ?? none;
  if (mode === "VALID") return none;
  if (mode !== "SAME_UPPER" && mode !== "SAME_LOWER") {
    const expected = "expected NOTSET, VALID, SAME_UPPER or SAME_LOWER";
    throw new SottoError("UNSUPPORTED_OPERATOR", operator, `auto_pad ${mode}; ${expected}`);
  }
  const totals = spatial.map((size, axis) => {
    const extent = (kernel[axis] - 1) * dilations[axis] + 1;
    return Math.max((Math.ceil(size / strides[axis]) - 1) * strides[axis] + extent - size, 0);
  });
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total) => Math.ceil(total / 2));
  return mode === "SAME_UPPER" ? [...small, ...large] : [...large, ...small];
}

/** Throws BAD_MODEL unless an attribute is a list of the right length of integers that are large enough. */
export function checkInts(
  operator: string,
  name: string,
  list: readonly number[],
  { length, least }: { readonly length: number; readonly least: number },
): void {
  if (list.length === length && list.every((item) => item >= least)) return;
  const expected = `expected ${length} integers of at least ${least}`;
  throw new SottoError("BAD_MODEL", operator, `${name} [${list.join(", ")}]; ${expected}`);
}
