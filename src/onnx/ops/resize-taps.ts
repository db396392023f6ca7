/**
 * Where an element of a resized axis comes from, and with which weights.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { Tap } from "../../tensor/interpolate.ts";

/** One axis that is resized. */
export interface ResizedAxis {
  /** Size of the input. */
  readonly length: number;
  /** Size of the result. */
  readonly size: number;
  /** Factor, of which `size` is the rounded product. */
  readonly scale: number;
  /** Ends of the part of the input that the result shows, as fractions. */
  readonly roi: readonly [number, number];
}

/** The input coordinate of a place in the result, by the names of `coordinate_transformation_mode`. */
export function originOf(
  mode: string,
  place: number,
  { length, size, scale, roi: [begin, end] }: ResizedAxis,
): number {
  const exactSize = scale * length;
  switch (mode) {
    case "half_pixel":
      return (place + 0.5) / scale - 0.5;
    case "half_pixel_symmetric":
      // the part of the input that a rounded size cuts off is shared between both ends
      return (length / 2) * (1 - size / exactSize) + (place + 0.5) / scale - 0.5;
    case "pytorch_half_pixel":
      return size > 1 ? (place + 0.5) / scale - 0.5 : 0;
    case "tf_half_pixel_for_nn":
      return (place + 0.5) / scale;
    case "align_corners":
      return exactSize === 1 ? 0 : (place * (length - 1)) / (exactSize - 1);
    case "asymmetric":
      return place / scale;
    case "tf_crop_and_resize": {
      const span = (end - begin) * (length - 1);
      const from = begin * (length - 1);
      return size > 1 ? from + (place * span) / (size - 1) : from + span / 2;
    }
    default:
      throw new SottoError("UNSUPPORTED_OPERATOR", "Resize", `coordinates by ${mode}`);
  }
}

/** How elements between those of the input are made. */
export interface Interpolation {
  /** nearest, linear or cubic. */
  readonly mode: string;
  readonly nearest: string;
  readonly cubicCoefficient: number;
  /** Widens the weights when the result is smaller than the input. */
  readonly isAntialiased: boolean;
  /** Gives no weight to what lies outside the input, where otherwise its border is repeated. */
  readonly excludesOutside: boolean;
}

/** The elements of an axis of `length` that make up the value at a coordinate; their weights sum to 1. */
export function tapsOf(
  origin: number,
  length: number,
  scale: number,
  interpolation: Interpolation,
): readonly Tap[] {
  const inside = (index: number): number => Math.min(Math.max(index, 0), length - 1);
  if (interpolation.mode === "nearest") {
    return [{ index: inside(nearestIndex(origin, scale, interpolation.nearest)), weight: 1 }];
  }
  const { reach, weigh } = kernelOf(interpolation);
  const stretch = interpolation.isAntialiased ? Math.min(scale, 1) : 1;
  // the elements within the kernel's reach: after `first`, and before the mirrored end
  const base = Math.ceil(origin) - 1;
  const first = Math.floor(-reach / stretch) + 1;
  const taps = Array.from({ length: 2 - 2 * first }, (_, i): Tap => {
    const index = base + first + i;
    const isExcluded = interpolation.excludesOutside && (index < 0 || index >= length);
    return {
      index: inside(index),
      weight: isExcluded ? 0 : weigh(Math.abs(index - origin) * stretch),
    };
  });
  const total = taps.reduce((sum, { weight }) => sum + weight, 0);
  return taps.map(({ index, weight }) => ({ index, weight: weight / total }));
}

/** Weight by distance, in elements, of which `reach` is the largest with any. */
function kernelOf({ mode, cubicCoefficient: a }: Interpolation): {
  reach: number;
  weigh: (distance: number) => number;
} {
  switch (mode) {
    case "linear":
    case "bilinear":
      return { reach: 1, weigh: (distance) => Math.max(1 - distance, 0) };
    case "cubic":
      return {
        reach: 2,
        weigh: (d) => {
          if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
          return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
        },
      };
    default: {
      const message = `mode ${mode}; expected nearest, linear or cubic`;
      throw new SottoError("UNSUPPORTED_OPERATOR", "Resize", message);
    }
  }
}

function nearestIndex(origin: number, scale: number, mode: string): number {
  switch (mode) {
    case "round_prefer_floor":
      return Math.ceil(origin - 0.5);
    case "round_prefer_ceil":
      return Math.floor(origin + 0.5);
    case "floor":
      return Math.floor(origin);
    case "ceil":
      return Math.ceil(origin);
    case "away": // our name for what opset 10 does: down when it enlarges, up when it shrinks
      return scale < 1 ? Math.ceil(origin) : Math.floor(origin);
    default: {
      const expected = "expected round_prefer_floor, round_prefer_ceil, floor or ceil";
      throw new SottoError("UNSUPPORTED_OPERATOR", "Resize", `nearest_mode ${mode}; ${expected}`);
    }
  }
}
