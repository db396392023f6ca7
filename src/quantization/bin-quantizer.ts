/**
 * Bins: how a column that only trees read becomes a whole number. A code counts the edges that are not above the value, so that
 * every comparison of the trees is a comparison of codes, exactly. What is missing (NaN) has a code of its own, unless the
 * trees treat it like some bin. Safe in browsers.
 * @module
 */
import { SottoError } from "../errors.ts";
import { type Tensor, int64 } from "../tensor/tensor.ts";
import { UniformQuantizer } from "./quantizer.ts";

/** The bins of one column. */
export interface ColumnBins {
  /** Ascending; code c holds the values from edge c - 1 up to, but not including, edge c. None: no tree reads the column. */
  readonly edges: Float64Array;
  /** The code of NaN: that of a bin, or the number of bins, which is then a code more. */
  readonly missing: number;
}

/** Codes of a column; 0 where no tree tells values apart. */
export function codesOf({ edges, missing }: ColumnBins): number {
  const codes = Math.max(edges.length, missing) + 1;
  return codes === 1 ? 0 : codes;
}

/** The quantizer of rows of features, [rows, columns]. Immutable. */
export class BinQuantizer extends UniformQuantizer {
  readonly columns: readonly ColumnBins[];

  /** Edges must be finite and ascend, and codes of missing values be codes of their columns. */
  constructor(columns: readonly ColumnBins[]) {
    const most = Math.max(2, ...columns.map(codesOf));
    super({ nBits: Math.ceil(Math.log2(most)), scale: 1, zeroPoint: 0, offset: 0 }, null);
    this.columns = columns;
  }

  /** Codes of every column; 0 where no tree reads it. */
  get sizes(): readonly number[] {
    return this.columns.map(codesOf);
  }

  override get codeRange(): readonly [number, number] {
    return [0, Math.max(2, ...this.sizes) - 1];
  }

  /** Codes of rows. Throws BAD_DTYPE on integers, BAD_SHAPE on another number of columns. */
  override quant(values: Tensor): Tensor<"int64"> {
    if (values.dtype !== "float32" && values.dtype !== "float64") {
      const message = `expected float32 or float64 values, got ${values.dtype}`;
      throw new SottoError("BAD_DTYPE", "quant", message);
    }
    const count = this.columns.length;
    if (values.shape.length !== 2 || values.shape[1] !== count) {
      const message = `expected rows of ${count} columns, got shape [${values.shape.join(", ")}]`;
      throw new SottoError("BAD_SHAPE", "quant", message);
    }
    const codes = Float64Array.from(values.data, (x, i) => codeOf(this.columns[i % count], x));
    return int64(values.shape, codes);
  }
}

/** Names of inputs that are quantized with bins, whose values may be missing. */
export function binnedPorts(
  ports: readonly { readonly name: string; readonly quantizer: UniformQuantizer }[],
): ReadonlySet<string> {
  const binned = ports.filter(({ quantizer }) => quantizer instanceof BinQuantizer);
  return new Set(binned.map(({ name }) => name));
}

function codeOf({ edges, missing }: ColumnBins, x: number): number {
  return Number.isNaN(x) ? missing : countUpTo(edges, x);
}

/** How many of some ascending numbers are not above x. */
export function countUpTo(ascending: Float64Array, x: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] <= x) low = middle + 1;
    else high = middle;
  }
  return low;
}
