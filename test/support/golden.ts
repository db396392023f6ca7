/**
 * Golden files: integers and quantizers recorded from Concrete ML 1.9 on the fixture models.
 * @module
 */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { NBitsOption } from "../../src/quantization/bits.ts";
import { readNpy } from "./npy.ts";

export const FIXTURES: string = join(import.meta.dirname, "..", "fixtures");

/** A number of a golden file; non-finite ones are strings there. */
export interface GoldenQuantizer {
  readonly scale: number;
  readonly zero_point: unknown;
  readonly offset: number;
  readonly n_bits: number;
  readonly is_signed: boolean;
}

export interface GoldenWeights {
  readonly tensor: string;
  readonly used_as: "integer" | "float";
  readonly scale: number;
  readonly zero_point: number;
  readonly is_symmetric: boolean;
  readonly qvalues?: unknown;
  readonly qvalues_crc32: string;
}

export interface GoldenOp {
  readonly output: string;
  readonly op_type: string;
  readonly fused: boolean;
  readonly graph_output: boolean;
  readonly input_options: { readonly n_bits: number; readonly is_signed: boolean };
  readonly output_params: {
    readonly scale: number;
    readonly zero_point: unknown;
    readonly offset: number;
  };
  readonly output_stats: { readonly rmin: number; readonly rmax: number };
  readonly lsbs_to_remove?: Readonly<Record<string, number>>;
}

export interface Golden {
  readonly match: string;
  readonly n_bits:
    NBitsOption | null | { readonly model_inputs: number; readonly model_outputs: number };
  /** The dictionary that `n_bits` stands for. */
  readonly n_bits_resolved: NBitsOption;
  readonly import_qat: boolean;
  readonly rounding_threshold_bits: null | number | { n_bits: number; method: string };
  readonly input_quantizers: readonly GoldenQuantizer[];
  readonly output_quantizers: readonly GoldenQuantizer[];
  readonly quantized_inputs: readonly unknown[];
  readonly quantized_outputs: readonly unknown[];
  readonly outputs: readonly unknown[];
  readonly all_inputs: {
    readonly quantized_inputs_crc32: readonly string[];
    readonly quantized_outputs_crc32: readonly string[];
    readonly predictions?: readonly number[];
  };
  readonly metrics: { readonly accuracy?: number; readonly rmse_vs_float?: readonly number[] };
  readonly weights: readonly GoldenWeights[];
  readonly ops: readonly GoldenOp[];
  /** Integers inside the model for the first inputs. */
  readonly intermediates: readonly {
    readonly op_output: string;
    readonly inputs: readonly { readonly index: number; readonly qvalues: unknown }[];
    readonly accumulator?: unknown;
  }[];
  readonly compile: {
    readonly ok: boolean;
    readonly max_integer_bit_width?: number;
    readonly report?: Readonly<Record<string, { range: [number, number]; bitwidth: number }>>;
  };
}

/** A fixture folder with its model, data and goldens. */
export interface Fixture {
  readonly name: string;
  readonly model: Uint8Array;
  readonly calibration: readonly Tensor[];
  readonly inputs: readonly Tensor[];
  readonly labels: readonly number[] | null;
  readonly goldens: ReadonlyMap<string, Golden>;
}

/** Reads a fixture folder. */
export function readFixture(name: string): Fixture {
  const folder = join(FIXTURES, name);
  const files = readdirSync(folder);
  const tensors = (stem: string): Tensor[] =>
    files
      .filter((file) => new RegExp(`^${stem}(_\\d+)?\\.npy$`).test(file))
      .sort()
      .map((file) => readNpy(join(folder, file)));
  const goldens = files
    .filter((file) => file.startsWith("golden_"))
    .map((file) => {
      const golden = JSON.parse(readFileSync(join(folder, file), "utf8")) as Golden;
      return [file.slice("golden_".length, -".json".length), golden] as const;
    });
  const [labels] = tensors("labels");
  return {
    name,
    model: new Uint8Array(readFileSync(join(folder, "model.onnx"))),
    calibration: tensors("calibration"),
    inputs: tensors("inputs"),
    labels: labels ? [...labels.data] : null,
    goldens: new Map(goldens),
  };
}

/** All numbers of a nested list. */
export function flat(nested: unknown): number[] {
  return Array.isArray(nested) ? nested.flatMap(flat) : [Number(nested)];
}

/** Row-wise index of the largest element. */
export function argmax({ shape, data }: Tensor): number[] {
  const size = data.length / shape[0];
  return Array.from({ length: shape[0] }, (_, row) => {
    let best = 0;
    for (let i = 1; i < size; i++) if (data[row * size + i] > data[row * size + best]) best = i;
    return best;
  });
}
