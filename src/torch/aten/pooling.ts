/**
 * Pooling and resampling of images.
 * @module
 */
import { tensor } from "../../tensor/tensor.ts";
import type { AttributeValue } from "../../onnx/graph.ts";
import type { Call, Rule } from "./call.ts";

/** Rules by `operator.overload`; several that share a rule are separated by spaces. */
export const pooling: Readonly<Record<string, Rule>> = {
  "max_pool1d.default": maxPool(1),
  "max_pool2d.default": maxPool(2),
  "max_pool3d.default": maxPool(3),
  "max_pool1d_with_indices.default": (call) => [maxPool(1)(call) as string, undefined],
  "max_pool2d_with_indices.default": (call) => [maxPool(2)(call) as string, undefined],
  "max_pool3d_with_indices.default": (call) => [maxPool(3)(call) as string, undefined],
  "avg_pool1d.default": averagePool(1),
  "avg_pool2d.default": averagePool(2),
  "avg_pool3d.default": averagePool(3),
  "adaptive_avg_pool1d.default": adaptive(1, "AveragePool"),
  "adaptive_avg_pool2d.default _adaptive_avg_pool2d.default": adaptive(2, "AveragePool"),
  "adaptive_avg_pool3d.default _adaptive_avg_pool3d.default": adaptive(3, "AveragePool"),
  "adaptive_max_pool1d.default": (call) => [adaptive(1, "MaxPool")(call) as string, undefined],
  "adaptive_max_pool2d.default": (call) => [adaptive(2, "MaxPool")(call) as string, undefined],
  "adaptive_max_pool3d.default": (call) => [adaptive(3, "MaxPool")(call) as string, undefined],
  "upsample_nearest1d.default upsample_nearest1d.vec": resize("nearest"),
  "upsample_nearest2d.default upsample_nearest2d.vec": resize("nearest"),
  "upsample_nearest3d.default upsample_nearest3d.vec": resize("nearest"),
  "upsample_linear1d.default upsample_linear1d.vec": resize("linear"),
  "upsample_bilinear2d.default upsample_bilinear2d.vec": resize("linear"),
  "upsample_trilinear3d.default upsample_trilinear3d.vec": resize("linear"),
  "pixel_shuffle.default": (call) =>
    call.emit("DepthToSpace", [call.tensor("self")], {
      blocksize: call.number("upscale_factor"),
      mode: "CRD",
    }),
  "pixel_unshuffle.default": pixelUnshuffle,
};

/** Attributes that both kinds of pooling share. */
interface PoolWindow extends Record<string, AttributeValue> {
  readonly ceil_mode: number;
  readonly kernel_shape: readonly number[];
  readonly pads: readonly number[];
  readonly strides: readonly number[];
}

function window(call: Call, rank: number): PoolWindow {
  if (call.sizes("self").length !== rank + 2) {
    call.refuse("expected an input with a batch and a channel axis before the spatial ones");
  }
  const kernel = call.perAxis("kernel_size", rank, 1);
  const strides = call.ints("stride", []);
  const pads = call.perAxis("padding", rank, 0);
  return {
    ceil_mode: Number(call.bool("ceil_mode", false)),
    kernel_shape: kernel,
    pads: [...pads, ...pads],
    strides: strides.length === 0 ? kernel : call.perAxis("stride", rank, 1),
  };
}

function maxPool(rank: number): Rule {
  return (call) =>
    call.emit("MaxPool", [call.tensor("self")], {
      ...window(call, rank),
      dilations: call.perAxis("dilation", rank, 1),
    });
}

/**
 * PyTorch never counts what lies beyond the padding, which `ceil_mode` can reach. So pads that count are added first, and the
 * pool itself counts only elements that are there.
 */
function averagePool(rank: number): Rule {
  return (call) => {
    if (call.has("divisor_override")) call.refuse("divisor_override is not supported");
    const { pads, ...attributes } = window(call, rank);
    const counts = call.bool("count_include_pad", true);
    if (!counts || pads.every((size) => size === 0)) {
      const settings = { ...attributes, pads, count_include_pad: 0 };
      return call.emit("AveragePool", [call.tensor("self")], settings);
    }
    if (attributes.ceil_mode === 0) {
      const settings = { ...attributes, pads, count_include_pad: 1 };
      return call.emit("AveragePool", [call.tensor("self")], settings);
    }
    const list = [0, 0, ...pads.slice(0, rank), 0, 0, ...pads.slice(rank)];
    const zero = call.scalar(call.resultDType(), 0);
    const padded = call.emit("Pad", [call.tensor("self"), call.longs(list), zero]);
    return call.emit("AveragePool", [padded], { ...attributes, count_include_pad: 0 });
  };
}

/** Pooling to a given size: over everything, or in windows of one size if that divides the input's. */
function adaptive(rank: number, opType: "AveragePool" | "MaxPool"): Rule {
  return (call) => {
    call.ignore("output_size");
    const from = call
      .sizes("self")
      .slice(-rank)
      .map((size) => call.fixed(size));
    const to = call
      .resultSizes()
      .slice(-rank)
      .map((size) => call.fixed(size));
    if (call.sizes("self").length !== rank + 2) {
      call.refuse("expected an input with a batch and a channel axis before the spatial ones");
    }
    if (to.every((size) => size === 1)) return call.emit(`Global${opType}`, [call.tensor("self")]);
    const kernel = from.map((size, axis) => size / to[axis]);
    if (!kernel.every(Number.isInteger)) {
      call.refuse(
        `pooling [${from.join(", ")}] to [${to.join(", ")}] needs windows that differ in size`,
      );
    }
    return call.emit(opType, [call.tensor("self")], { kernel_shape: kernel, strides: kernel });
  };
}

function resize(mode: "nearest" | "linear"): Rule {
  return (call) => {
    const name = call.isTensor("input") ? "input" : "self";
    call.ignore("output_size");
    const from = call
      .sizes(name)
      .slice(2)
      .map((size) => call.fixed(size));
    const to = call
      .resultSizes()
      .slice(2)
      .map((size) => call.fixed(size));
    const aligned = mode === "linear" && call.bool("align_corners", false);
    const smooth = aligned ? "align_corners" : "half_pixel";
    const attributes: Record<string, AttributeValue> = {
      coordinate_transformation_mode: mode === "nearest" ? "asymmetric" : smooth,
      mode,
      nearest_mode: "floor",
    };
    const scales = givenScales(call, from.length) ?? from.map((size, axis) => to[axis] / size);
    const isExact = scales.every((factor, axis) => Math.floor(from[axis] * factor) === to[axis]);
    if (!isExact) call.refuse("the sizes do not follow from the scale factors; use whole factors");
    const factors = call.constant(tensor("float32", [2 + scales.length], [1, 1, ...scales]));
    return call.emit("Resize", [call.tensor(name), "", factors], attributes);
  };
}

/** Factors that the model states itself, which may differ from the quotient of the sizes. */
function givenScales(call: Call, rank: number): readonly number[] | undefined {
  if (call.has("scale_factors")) return call.floats("scale_factors");
  const names = rank === 1 ? ["scales"] : ["scales_d", "scales_h", "scales_w"].slice(-rank);
  return names.every((name) => call.has(name)) ? names.map((name) => call.number(name)) : undefined;
}

/** Blocks of f x f pixels become channels: the inverse of pixel_shuffle. */
function pixelUnshuffle(call: Call): string {
  const factor = call.number("downscale_factor");
  const [, channels, height, width] = call
    .sizes("self")
    .map((size, axis) => (axis === 0 ? 0 : call.fixed(size)));
  const split = [0, channels, height / factor, factor, width / factor, factor];
  const blocks = call.emit("Reshape", [call.tensor("self"), call.longs(split)]);
  const moved = call.emit("Transpose", [blocks], { perm: [0, 1, 3, 5, 2, 4] });
  const merged = [0, channels * factor * factor, height / factor, width / factor];
  return call.emit("Reshape", [moved, call.longs(merged)]);
}
