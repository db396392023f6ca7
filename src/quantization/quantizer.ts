/**
 * Uniform quantizers: which scale, zero point and offset map floats to n-bit integers and back.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  type PerChannel,
  dequantizeTensor,
  quantizeTensor,
  roundHalfEven,
} from "../tensor/codes.ts";

/** Ranges narrower than this are treated as one constant. */
const STABILITY = 1e-6;

/** How a tensor is to be quantized; the fields keep Concrete ML's names. */
export interface QuantizationOptions {
  /** Bits of a code. */
  readonly nBits: number;
  /** Codes run from -2^(n-1) instead of 0. */
  readonly isSigned: boolean;
  /** The zero point is 0 and the range is symmetric; requires `isSigned`. */
  readonly isSymmetric: boolean;
  /** The scale comes from quantization-aware training. */
  readonly isQat: boolean;
  /** The lowest code is left out, so that the range of codes is symmetric. */
  readonly isNarrow: boolean;
  /** The quantizer is given by the model and must be used as it is. */
  readonly isPrecomputedQat: boolean;
}

/** Smallest and largest value seen; `isFloat32` says whether their difference is taken in float32. */
export interface MinMaxStats {
  readonly rmin: number;
  readonly rmax: number;
  readonly isFloat32: boolean;
}

/**
 * Scale, zero point and offset (the lowest code is -offset). Raw accumulators have a zero point per output; weights may
 * have a scale per channel, and then the accumulators that they make have one too.
 */
export interface QuantizationParameters {
  readonly scale: PerChannel;
  readonly zeroPoint: PerChannel;
  readonly offset: number;
}

const DEFAULTS: QuantizationOptions = {
  nBits: 8,
  isSigned: false,
  isSymmetric: false,
  isQat: false,
  isNarrow: false,
  isPrecomputedQat: false,
};

/** Completes options with their defaults (unsigned, asymmetric). Throws BAD_ARGUMENT on a contradiction. */
export function quantizationOptions(
  options: { readonly nBits: number } & Partial<QuantizationOptions>,
): QuantizationOptions {
  const full = { ...DEFAULTS, ...options };
  if (!Number.isInteger(full.nBits) || full.nBits < 1 || full.nBits > 32) {
    throw new SottoError(
      "BAD_ARGUMENT",
      "nBits",
      `expected an integer from 1 to 32, got ${full.nBits}`,
    );
  }
  if (full.isSymmetric && !full.isSigned) {
    throw new SottoError(
      "BAD_ARGUMENT",
      "isSymmetric",
      "symmetric quantization needs isSigned: true",
    );
  }
  if (full.isSymmetric && full.isQat) {
    throw new SottoError("BAD_ARGUMENT", "isSymmetric", "expected false where isQat is true");
  }
  return full;
}

/** Whether codes made under `a` can be read as codes made under `b`. */
export function sameCodes(a: QuantizationOptions, b: QuantizationOptions): boolean {
  return (
    a.isQat === b.isQat &&
    (a.isSigned === b.isSigned || b.isQat) &&
    a.isSymmetric === b.isSymmetric &&
    a.nBits === b.nBits
  );
}

/** Smallest and largest element. Throws BAD_SHAPE when there is none, BAD_VALUE on NaN or infinity. */
export function measureStats(values: Tensor): MinMaxStats {
  if (values.data.length === 0) {
    throw new SottoError("BAD_SHAPE", "values", "expected at least one value, got none");
  }
  let rmin = Infinity;
  let rmax = -Infinity;
  for (const value of values.data) {
    if (!Number.isFinite(value)) {
      throw new SottoError("BAD_VALUE", "values", `expected finite numbers, got ${value}`);
    }
    if (value < rmin) rmin = value;
    if (value > rmax) rmax = value;
  }
  return { rmin, rmax, isFloat32: values.dtype === "float32" };
}

/** Scale, zero point and offset for values within `stats`; a scale that is already known is kept. */
export function computeQuantizationParameters(
  options: QuantizationOptions,
  stats: MinMaxStats,
  knownScale?: PerChannel,
): QuantizationParameters {
  const { rmin, rmax } = stats;
  const range = stats.isFloat32 ? Math.fround(rmax - rmin) : rmax - rmin;
  const offset = options.isSigned ? 2 ** (options.nBits - 1) : 0;
  if (range < STABILITY) {
    // A constant quantizes to code 1 with its own value as scale, or to 0 when it is zero.
    if (Math.abs(rmax) < STABILITY) return { scale: 1, zeroPoint: 0, offset: 0 };
    return { scale: rmax, zeroPoint: 0, offset: 0 };
  }
  const highest = 2 ** options.nBits - 1 - offset;
  if (options.isSymmetric) {
    return { scale: Math.max(Math.abs(rmax), Math.abs(rmin)) / highest, zeroPoint: 0, offset };
  }
  const scale = knownScale ?? range / (2 ** options.nBits - 1);
  const zeroPoint = options.isQat
    ? 0
    : roundHalfEven((rmax * -offset - rmin * highest) / range) + 0;
  return { scale, zeroPoint, offset };
}

/** Everything a quantizer may be given; what is missing is computed from what is there. */
export interface QuantizerInit
  extends Partial<QuantizationOptions>, Partial<QuantizationParameters> {
  readonly nBits: number;
  readonly rmin?: number;
  readonly rmax?: number;
  /** Codes outside the n-bit range are kept. */
  readonly noClipping?: boolean;
}

/** The map between floats and n-bit integers. Immutable. */
export class UniformQuantizer {
  readonly options: QuantizationOptions;
  readonly stats: MinMaxStats | null;
  readonly scale: PerChannel;
  readonly zeroPoint: PerChannel;
  readonly offset: number;
  readonly noClipping: boolean;

  /**
   * Needs either `scale`, `zeroPoint` and `offset`, or `rmin` and `rmax`.
   * Throws BAD_ARGUMENT when a set is given in part, and on unknown keys.
   */
  constructor(init: QuantizerInit, stats: MinMaxStats | null = statsOf(init)) {
    checkKeys(init);
    const { nBits, isSigned, isSymmetric, isQat, isNarrow, isPrecomputedQat } = {
      ...DEFAULTS,
      ...init,
    };
    this.options = quantizationOptions({
      nBits,
      isSigned,
      isSymmetric,
      isQat,
      isNarrow,
      isPrecomputedQat,
    });
    this.stats = stats;
    const parameters = givenParameters(init) ?? derive(this.options, stats, init.scale);
    this.scale = parameters.scale;
    this.zeroPoint = parameters.zeroPoint;
    this.offset = parameters.offset;
    this.noClipping = init.noClipping ?? false;
  }

  /** Smallest and largest code. */
  get codeRange(): readonly [number, number] {
    const lowest = -this.offset + (this.options.isNarrow ? 1 : 0);
    return [lowest, 2 ** this.options.nBits - 1 - this.offset];
  }

  /** The scale of a tensor that has one for all elements. Throws UNSUPPORTED_OPERATOR when it has one per channel. */
  tensorScale(where: string): number {
    if (typeof this.scale === "number") return this.scale;
    throw new SottoError(
      "UNSUPPORTED_OPERATOR",
      where,
      `expected one scale for the whole tensor, got ${this.scale.data.length}; only weights may have a scale per channel`,
    );
  }

  /** Codes of float values of any shape. Throws BAD_DTYPE on integers, BAD_VALUE on NaN. */
  quant(values: Tensor): Tensor<"int64"> {
    if (values.dtype !== "float32" && values.dtype !== "float64") {
      throw new SottoError(
        "BAD_DTYPE",
        "quant",
        `expected float32 or float64 values, got ${values.dtype}`,
      );
    }
    if (values.data.some(Number.isNaN)) {
      throw new SottoError(
        "BAD_VALUE",
        "quant",
        "expected numbers, got NaN; drop or fill such rows",
      );
    }
    return quantizeTensor(values, this);
  }

  /** Float64 values of codes of any shape: `scale * (q - zeroPoint)`. */
  dequant(codes: Tensor): Tensor<"float64"> {
    return dequantizeTensor(codes, this.scale, this.zeroPoint);
  }
}

const INIT_KEYS: readonly (keyof QuantizerInit)[] = [
  "nBits",
  "isSigned",
  "isSymmetric",
  "isQat",
  "isNarrow",
  "isPrecomputedQat",
  "scale",
  "zeroPoint",
  "offset",
  "rmin",
  "rmax",
  "noClipping",
];

function checkKeys(init: QuantizerInit): void {
  const unknown = Object.keys(init).find((key) => !INIT_KEYS.some((known) => known === key));
  if (unknown === undefined) return;
  throw new SottoError(
    "BAD_ARGUMENT",
    unknown,
    `expected one of ${INIT_KEYS.join(", ")}, got ${unknown}`,
  );
}

function statsOf(init: QuantizerInit): MinMaxStats | null {
  const { rmin, rmax } = init;
  if (rmin === undefined && rmax === undefined) return null;
  if (rmin === undefined || rmax === undefined) {
    throw new SottoError(
      "BAD_ARGUMENT",
      "quantizer",
      "expected both rmin and rmax, got one of them",
    );
  }
  return { rmin, rmax, isFloat32: false };
}

function givenParameters(init: QuantizerInit): QuantizationParameters | null {
  const { scale, zeroPoint, offset } = init;
  const given = [scale, zeroPoint, offset].filter((value) => value !== undefined).length;
  if (given === 0 || (given === 1 && scale !== undefined && init.isQat === true)) return null;
  if (scale === undefined || zeroPoint === undefined || offset === undefined) {
    throw new SottoError(
      "BAD_ARGUMENT",
      "quantizer",
      "expected scale, zeroPoint and offset together, got a part of them",
    );
  }
  return { scale, zeroPoint, offset };
}

function derive(
  options: QuantizationOptions,
  stats: MinMaxStats | null,
  scale: PerChannel | undefined,
): QuantizationParameters {
  if (stats === null) {
    throw new SottoError(
      "BAD_ARGUMENT",
      "quantizer",
      "expected rmin and rmax, or scale, zeroPoint and offset, got neither",
    );
  }
  return computeQuantizationParameters(options, stats, scale);
}
