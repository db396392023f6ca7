/**
 * A quantized tensor: raw floats, their codes, and the quantizer between them.
 * The floats are what was given, not the de-quantized codes: fused operators compute on them.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { isSymmetricAroundZero } from "./percentile.ts";
import {
  type MinMaxStats,
  type QuantizerInit,
  UniformQuantizer,
  measureStats,
} from "./quantizer.ts";

/** Options of `QuantizedArray`; what is not given is computed from the values. */
export interface QuantizedArrayInit extends Partial<Omit<QuantizerInit, "nBits">> {
  /** The values are floats to quantize (default) or codes; codes need `scale`, `zeroPoint` and `offset`. */
  readonly valueIsFloat?: boolean;
  /** Codes and quantizer of the values, as a saved array has them; they are taken as they are. */
  readonly known?: { readonly qvalues: Tensor<"int64">; readonly quantizer: UniformQuantizer };
}

/** A tensor of floats with its n-bit codes. Immutable; the `with…` methods return a new one. */
export class QuantizedArray {
  /** Raw floats, or the de-quantized codes when made from codes. */
  readonly values: Tensor;
  /** Integer codes, same shape. */
  readonly qvalues: Tensor<"int64">;
  readonly quantizer: UniformQuantizer;

  /** Throws BAD_DTYPE when the element type is not what `valueIsFloat` says, BAD_ARGUMENT on bad options. */
  constructor(nBits: number, values: Tensor, init: QuantizedArrayInit = {}) {
    const { valueIsFloat = true, known, ...rest } = init;
    if (known) {
      this.values = values;
      this.qvalues = known.qvalues;
      this.quantizer = known.quantizer;
      return;
    }
    const isFloat = values.dtype === "float32" || values.dtype === "float64";
    if (valueIsFloat && !isFloat) {
      throw new SottoError(
        "BAD_DTYPE",
        "QuantizedArray",
        `expected float values, got ${values.dtype}`,
      );
    }
    if (valueIsFloat) {
      this.values = values;
      this.quantizer = new UniformQuantizer({ ...rest, nBits }, statsFor(values, rest));
      this.qvalues = this.quantizer.quant(values);
      return;
    }
    this.qvalues = requireCodes(values);
    if (rest.scale === undefined || rest.zeroPoint === undefined || rest.offset === undefined) {
      throw new SottoError(
        "BAD_ARGUMENT",
        "QuantizedArray",
        "codes need scale, zeroPoint and offset; pass all three",
      );
    }
    this.quantizer = new UniformQuantizer({ ...rest, nBits });
    this.values = this.quantizer.dequant(this.qvalues);
  }

  /** Float64 values of the codes. */
  dequant(): Tensor<"float64"> {
    return this.quantizer.dequant(this.qvalues);
  }

  /** New values under the same quantizer. */
  withValues(values: Tensor): QuantizedArray {
    return new QuantizedArray(this.quantizer.options.nBits, values, initOf(this.quantizer));
  }

  /** New codes under the same quantizer. */
  withQuantizedValues(codes: Tensor): QuantizedArray {
    return new QuantizedArray(this.quantizer.options.nBits, codes, {
      ...initOf(this.quantizer),
      valueIsFloat: false,
    });
  }
}

function initOf(quantizer: UniformQuantizer): QuantizedArrayInit {
  const { nBits: _, ...options } = quantizer.options;
  const { scale, zeroPoint, offset, noClipping } = quantizer;
  return { ...options, scale, zeroPoint, offset, noClipping };
}

function statsFor(values: Tensor, init: QuantizedArrayInit): MinMaxStats | null {
  const { rmin, rmax } = init;
  if (rmin !== undefined && rmax !== undefined) return { rmin, rmax, isFloat32: false };
  if (rmin !== undefined || rmax !== undefined) {
    throw new SottoError("BAD_ARGUMENT", "QuantizedArray", "expected both rmin and rmax, got one");
  }
  const complete =
    init.scale !== undefined && init.zeroPoint !== undefined && init.offset !== undefined;
  return complete ? null : measureStats(values);
}

function requireCodes(values: Tensor): Tensor<"int64"> {
  if (values.dtype !== "int64") {
    throw new SottoError(
      "BAD_DTYPE",
      "QuantizedArray",
      `expected int64 codes, got ${values.dtype}`,
    );
  }
  return values as Tensor<"int64">;
}

/** Codes of a constant: signed and symmetric where its values lie evenly around zero, else unsigned and asymmetric. */
export function quantizeConstant(nBits: number, values: Tensor): QuantizedArray {
  const symmetric = isSymmetricAroundZero(values);
  return new QuantizedArray(nBits, values, { isSigned: symmetric, isSymmetric: symmetric });
}
