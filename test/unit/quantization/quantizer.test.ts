/**
 * Quantizers bit for bit against numbers recorded from Concrete ML 1.9: scales, zero points, codes, float values, the
 * choice between symmetric and asymmetric weights, bit widths, rounding, and what is refused.
 * @module
 */
import { bitWidth } from "../../../src/circuit/interval.ts";
import { roundHalfEven } from "../../../src/tensor/codes.ts";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { applyOp } from "../../../src/circuit/apply.ts";
import { SottoError, type ErrorCode } from "../../../src/errors.ts";
import { QuantizedArray, type QuantizedArrayInit } from "../../../src/quantization/array.ts";
import {
  type NBitsOption,
  type RoundingOption,
  getNBitsDict,
  getRounding,
} from "../../../src/quantization/bits.ts";
import { isSymmetricAroundZero, percentile } from "../../../src/quantization/percentile.ts";
import { quantizeConstant } from "../../../src/quantization/array.ts";
import { UniformQuantizer } from "../../../src/quantization/quantizer.ts";
import { type Tensor, float32, float64, int64, tensor } from "../../../src/tensor/tensor.ts";
import { errorOf } from "../../support/errors.ts";

function readCases<T>(file: string, list = "cases"): readonly T[] {
  const url = new URL(`../../fixtures/${file}`, import.meta.url);
  const root = JSON.parse(readFileSync(url, "utf8")) as Readonly<Record<string, readonly T[]>>;
  return root[list];
}

/** Numbers of a fixture; those that JSON cannot write are words. */
function number(value: number | string): number {
  if (typeof value === "number") return value;
  return { inf: Infinity, "-inf": -Infinity, nan: NaN }[value] ?? Number(value);
}

interface ArrayCase {
  readonly id: string;
  readonly n_bits: number;
  readonly is_signed: boolean;
  readonly is_symmetric: boolean;
  readonly is_qat: boolean;
  readonly is_narrow: boolean;
  readonly half_up: boolean;
  readonly dtype: "float32" | "float64";
  readonly shape: readonly number[];
  readonly values: readonly number[];
  readonly rmin: number;
  readonly rmax: number;
  readonly scale: number | string;
  readonly zero_point: number;
  readonly offset: number;
  readonly qvalues: readonly number[];
  readonly dequant: readonly (number | string)[];
  readonly more_values?: readonly number[];
  readonly more_qvalues?: readonly number[];
}

/** Cases whose quantizer is made from given parameters and not from the values. */
const PRESET: ReadonlySet<string> = new Set(["preset_params", "preset_params_f32"]);

function initOf(example: ArrayCase): QuantizedArrayInit {
  const { is_signed, is_symmetric, is_qat, is_narrow, scale, zero_point, offset } = example;
  const preset = { scale: number(scale), zeroPoint: zero_point, offset };
  return {
    isSigned: is_signed,
    isSymmetric: is_symmetric,
    isQat: is_qat,
    isNarrow: is_narrow,
    ...(PRESET.has(example.id) ? preset : {}),
  };
}

describe("QuantizedArray", () => {
  // half_up is a switch of Concrete ML that rounds ties up, as its rounded lookups do; here ties always go to even.
  const cases = readCases<ArrayCase>("quantized_array/cases.json").filter(
    ({ half_up }) => !half_up,
  );

  test.each(cases.map((example) => [example.id, example] as const))("%s", (_, example) => {
    const values = tensor(example.dtype, example.shape, example.values);
    const array = new QuantizedArray(example.n_bits, values, initOf(example));
    const { quantizer } = array;
    expect({
      scale: quantizer.scale,
      zeroPoint: quantizer.zeroPoint,
      offset: quantizer.offset,
    }).toEqual({
      scale: number(example.scale),
      zeroPoint: example.zero_point,
      offset: example.offset,
    });
    expect(array.values).toBe(values);
    expect(array.qvalues).toEqual(int64(example.shape, example.qvalues));
    expect([...array.dequant().data]).toEqual(example.dequant.map(number));
    if (quantizer.stats && !PRESET.has(example.id)) {
      expect([quantizer.stats.rmin, quantizer.stats.rmax]).toEqual([example.rmin, example.rmax]);
    }
    if (example.more_values) {
      const more = tensor(example.dtype, [example.more_values.length], example.more_values);
      expect([...quantizer.quant(more).data]).toEqual(example.more_qvalues);
      expect(array.withValues(more).qvalues).toEqual(quantizer.quant(more));
    }
  });

  test.each(cases.filter(({ scale }) => typeof scale === "number").map((c) => [c.id, c] as const))(
    "%s comes back from its codes",
    (_, example) => {
      const codes = int64(example.shape, example.qvalues);
      const array = new QuantizedArray(example.n_bits, codes, {
        ...initOf(example),
        valueIsFloat: false,
        scale: number(example.scale),
        zeroPoint: example.zero_point,
        offset: example.offset,
      });
      expect([...array.values.data]).toEqual(example.dequant.map(number));
      expect(array.withQuantizedValues(codes)).toEqual(array);
    },
  );
});

interface WeightCase {
  readonly id: string;
  readonly n_bits: number;
  readonly values: readonly number[];
  readonly percentile_3: number;
  readonly percentile_97: number;
  readonly is_symmetric: boolean;
  readonly scale: number;
  readonly zero_point: number;
  readonly offset: number;
  readonly is_signed: boolean;
  readonly qvalues: readonly number[];
}

describe("weights", () => {
  const cases = readCases<WeightCase>("quantized_array/weights.json");

  test.each(cases.map((example) => [example.id, example] as const))("%s", (_, example) => {
    const values = float32([example.values.length], example.values);
    expect(percentile(values, 3)).toBe(example.percentile_3);
    expect(percentile(values, 97)).toBe(example.percentile_97);
    expect(isSymmetricAroundZero(values)).toBe(example.is_symmetric);
    const { quantizer, qvalues } = quantizeConstant(example.n_bits, values);
    expect(quantizer.scale).toBe(example.scale);
    expect(quantizer.zeroPoint).toBe(example.zero_point);
    expect(quantizer.offset).toBe(example.offset);
    expect(quantizer.options.isSigned).toBe(example.is_signed);
    expect(quantizer.options.isSymmetric).toBe(example.is_symmetric);
    expect([...qvalues.data]).toEqual(example.qvalues);
  });
});

describe("integers", () => {
  interface RoundCase {
    readonly id: string;
    readonly lsbs_to_remove: number;
    readonly x: readonly number[];
    readonly rounded: readonly number[];
  }

  test.each(readCases<RoundCase>("quantized_array/rounding.json").map((c) => [c.id, c] as const))(
    "%s rounds half up, exactly and approximately alike",
    (_, { lsbs_to_remove, x, rounded }) => {
      for (const method of ["exact", "approximate"] as const) {
        const op = { kind: "round", lsbs: lsbs_to_remove, method } as const;
        expect(applyOp(op, [int64([1, x.length], x)])).toEqual(int64([1, x.length], rounded));
      }
    },
  );

  interface WidthCase {
    readonly min: number;
    readonly max: number;
    readonly bits: number;
  }

  test.each(readCases<WidthCase>("quantized_array/rounding.json", "bit_widths"))(
    "[$min, $max] takes $bits bits",
    ({ min, max, bits }) => {
      expect(bitWidth({ lo: min, hi: max })).toBe(bits);
    },
  );

  test("ties go to the even neighbour on both sides of zero", () => {
    const ties = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5];
    expect(ties.map((x) => roundHalfEven(x) + 0)).toEqual([-2, -2, 0, 0, 2, 2]);
  });
});

describe("what is refused", () => {
  const floats = float64([2], [1, 2]);
  const codes = int64([2], [1, 2]);
  const make =
    (values: Tensor, init: object = {}) =>
    (): unknown =>
      new QuantizedArray(8, values, init);
  const calls: Readonly<Record<string, readonly [() => unknown, ErrorCode]>> = {
    int_values: [make(codes), "BAD_DTYPE"],
    float_q: [
      make(floats, { valueIsFloat: false, scale: 1, zeroPoint: 0, offset: 0 }),
      "BAD_DTYPE",
    ],
    int_without_params: [make(codes, { valueIsFloat: false }), "BAD_ARGUMENT"],
    missing_params: [make(floats, { scale: 1 }), "BAD_ARGUMENT"],
    missing_stats: [make(floats, { rmin: 1 }), "BAD_ARGUMENT"],
    unknown_kwarg: [make(floats, { foo: 1 }), "BAD_ARGUMENT"],
    symmetric_unsigned: [make(floats, { isSymmetric: true }), "BAD_ARGUMENT"],
    qat_symmetric: [
      make(floats, { isSigned: true, isSymmetric: true, isQat: true }),
      "BAD_ARGUMENT",
    ],
  };
  const ids = readCases<{ readonly id: string }>("quantized_array/errors.json").map(({ id }) => id);

  test("every recorded refusal is known here", () => {
    expect(Object.keys(calls).sort()).toEqual([...ids].sort());
  });

  test.each(ids)("%s", (id) => {
    const [call, code] = calls[id];
    const error = errorOf(call);
    expect(error).toBeInstanceOf(SottoError);
    expect(error.code).toBe(code);
  });

  test("values that are no numbers, and no values at all", () => {
    expect(errorOf(make(float64([1], [NaN]))).code).toBe("BAD_VALUE");
    expect(errorOf(make(float64([1], [Infinity]))).code).toBe("BAD_VALUE");
    expect(errorOf(make(float64([0], []))).code).toBe("BAD_SHAPE");
    const quantizer = new UniformQuantizer({ nBits: 4, rmin: 0, rmax: 1 });
    expect(errorOf(() => quantizer.quant(float64([1], [NaN]))).code).toBe("BAD_VALUE");
    expect([...quantizer.quant(float64([2], [-Infinity, Infinity])).data]).toEqual([0, 15]);
  });

  test("quantizers that are told too little, too much or nonsense", () => {
    const build = (init: object) => () => new UniformQuantizer({ nBits: 8, ...init });
    for (const init of [{}, { rmin: 0 }, { scale: 1 }, { rmin: 0, rmax: 1, nBits: 0 }]) {
      expect(errorOf(build(init)).code).toBe("BAD_ARGUMENT");
    }
    expect(errorOf(build({ rmin: 0, rmax: 1, nBits: 2.5 })).code).toBe("BAD_ARGUMENT");
    expect(errorOf(build({ rmin: 0, rmax: 1, nbits: 3 })).code).toBe("BAD_ARGUMENT");
  });
});

describe("the nBits option", () => {
  interface BitsCase {
    readonly argument: unknown;
    readonly result?: object;
  }
  const cases = readCases<BitsCase>("n_bits_dict/table.json", "get_n_bits_dict");

  test.each(cases.map((c) => [JSON.stringify(c.argument), c] as const))(
    "%s",
    (_, { argument, result }) => {
      const resolve = () => getNBitsDict(argument as NBitsOption);
      if (result) expect(resolve()).toEqual(result);
      else expect(errorOf(resolve).code).toBe("BAD_ARGUMENT");
    },
  );
});

describe("the roundingThresholdBits option", () => {
  interface RoundingCase {
    readonly argument: unknown;
    readonly result?: { readonly n_bits: number; readonly method: string } | null;
  }

  /** Our spelling of a recorded option: nBits, and methods in lower case. */
  function translate(argument: unknown): unknown {
    if (typeof argument !== "object" || argument === null) return argument;
    return Object.fromEntries(
      Object.entries(argument).map(([key, value]: [string, unknown]) => [
        key === "n_bits" ? "nBits" : key,
        typeof value === "string" ? value.toLowerCase() : value,
      ]),
    );
  }

  const cases = readCases<RoundingCase>("n_bits_dict/table.json", "rounding_threshold_bits");

  test.each(cases.map((c) => [JSON.stringify(c.argument), c] as const))(
    "%s",
    (_, { argument, result }) => {
      const resolve = () => getRounding(translate(argument) as RoundingOption);
      if (result === undefined) expect(errorOf(resolve).code).toBe("BAD_ARGUMENT");
      else if (result === null) expect(resolve()).toBeNull();
      else expect(resolve()).toEqual({ nBits: result.n_bits, method: result.method.toLowerCase() });
    },
  );

  test("fit is a method of ours", () => {
    expect(getRounding({ nBits: 4, method: "fit" })).toEqual({ nBits: 4, method: "fit" });
  });

  test("a method in another case is refused with the right spelling", () => {
    const error = errorOf(() => getRounding({ nBits: 6, method: "EXACT" } as never));
    expect(error.message).toContain('"exact"');
  });
});
