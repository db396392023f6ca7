/**
 * Operators of ai.onnx.ml that prepare features and labels. Strings are codes here (see `strings.ts`), so that those with a
 * form for strings and one for integers do the same in both.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { combine, mapElements } from "../../tensor/elementwise.ts";
import { mapLanes } from "../../tensor/lanes.ts";
import { take } from "../../tensor/take.ts";
import { allocate, cast, float32, reshape, sizeOf } from "../../tensor/tensor.ts";
import { tensor, type DType, type Shape, type Tensor } from "../../tensor/tensor.ts";
import {
  defineOperator,
  float,
  int,
  optionalFloats,
  optionalInts,
  optionalTensor,
  requiredInts,
  string,
  stringCode,
  stringCodes,
} from "./operator.ts";
import type { Operand, Operator } from "./operator.ts";

function fail(where: string, message: string): never {
  throw new SottoError("BAD_MODEL", where, message);
}

/** float64 as it is, everything else as float32. */
function asFloat(x: Tensor): Tensor {
  return x.dtype === "float64" ? x : cast(x, "float32");
}

/** A number per feature, or one for all. */
function perFeature(where: string, name: string, list: readonly number[], shape: Shape): Tensor {
  const features = shape.at(-1) ?? 1;
  if (list.length !== 1 && list.length !== features) {
    fail(where, `${name}: expected 1 or ${features} numbers, got ${list.length}`);
  }
  return float32([list.length], list);
}

/** `(x - offset) * scale`. */
export const Scaler: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { offset: optionalFloats(), scale: optionalFloats() },
  shape([x]: readonly [Operand], { offset = [], scale = [] }) {
    perFeature("Scaler", "offset", offset, x.shape);
    perFeature("Scaler", "scale", scale, x.shape);
    return [x.shape];
  },
  evaluate([x]: readonly [Tensor], { offset = [], scale = [] }) {
    const centre = perFeature("Scaler", "offset", offset, x.shape);
    const shifted = combine(asFloat(x), centre, (a, b) => a - b);
    const factor = perFeature("Scaler", "scale", scale, x.shape);
    return [combine(shifted, factor, (a, b) => a * b)];
  },
});

const NORMS: ReadonlyMap<string, (lane: Float64Array) => number> = new Map([
  ["MAX", (lane) => lane.reduce((most, x) => Math.max(most, x), -Infinity)],
  ["L1", (lane) => lane.reduce((sum, x) => sum + Math.abs(x), 0)],
  ["L2", (lane) => Math.sqrt(lane.reduce((sum, x) => sum + x * x, 0))],
]);

function normOf(name: string): (lane: Float64Array) => number {
  const expected = `norm ${name}; expected one of ${[...NORMS.keys()].join(", ")}`;
  return NORMS.get(name) ?? fail("Normalizer", expected);
}

/** Each row divided by its norm, unless that is 0. */
export const Normalizer: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { norm: string("MAX") },
  shape([x]: readonly [Operand], { norm }) {
    normOf(norm);
    if (x.shape.length === 1 || x.shape.length === 2) return [x.shape];
    throw new SottoError("BAD_SHAPE", "Normalizer", `expected rows, got [${x.shape.join(", ")}]`);
  },
  evaluate([x]: readonly [Tensor], { norm }) {
    const size = normOf(norm);
    const divide = (lane: Float64Array): Float64Array => {
      const divisor = size(lane);
      return divisor === 0 ? lane : lane.map((element) => element / divisor);
    };
    return [mapLanes(asFloat(x), x.shape.length - 1, divide)];
  },
});

/** 1 above a threshold, 0 elsewhere. */
export const Binarizer: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { threshold: float(0) },
  shape: ([x]: readonly [Operand]) => [x.shape],
  evaluate: ([x]: readonly [Tensor], { threshold }) => [
    mapElements(x, (element) => (element > threshold ? 1 : 0)),
  ],
});

/** Replaces one value, which may be NaN, by another of each feature. */
export const Imputer: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: {
    imputed_value_floats: optionalFloats(),
    imputed_value_int64s: optionalInts(),
    replaced_value_float: float(0),
    replaced_value_int64: int(0),
  },
  shape([x]: readonly [Operand], { imputed_value_floats, imputed_value_int64s }) {
    const values = imputed_value_floats ?? imputed_value_int64s ?? [];
    perFeature("Imputer", "imputed values", values, x.shape);
    return [x.shape];
  },
  evaluate([x]: readonly [Tensor], attributes) {
    const { imputed_value_floats: floats, imputed_value_int64s: integers } = attributes;
    const replaced = floats ? attributes.replaced_value_float : attributes.replaced_value_int64;
    const values = perFeature("Imputer", "imputed values", floats ?? integers ?? [], x.shape).data;
    const data = allocate(x.dtype, x.data.length);
    // NaN replaces NaN, which is not equal to itself.
    const isReplaced = (element: number): boolean =>
      element === replaced || (Number.isNaN(element) && Number.isNaN(replaced));
    for (const [i, element] of x.data.entries()) {
      data[i] = isReplaced(element) ? values[i % values.length] : element;
    }
    return [{ dtype: x.dtype, shape: x.shape, data }];
  },
});

/** A column of 0 and 1 per category. */
export const OneHotEncoder: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { cats_int64s: optionalInts(), cats_strings: stringCodes(), zeros: int(1) },
  shape: ([x]: readonly [Operand], { cats_int64s, cats_strings }) => [
    [...x.shape, categoriesOf(cats_int64s, cats_strings).length],
  ],
  evaluate([x]: readonly [Tensor], { cats_int64s, cats_strings, zeros }) {
    const categories = categoriesOf(cats_int64s, cats_strings);
    // The last of equal categories counts.
    const places = new Map(categories.map((category, place) => [category, place]));
    const data = new Float32Array(x.data.length * categories.length);
    for (const [i, element] of x.data.entries()) {
      const place = places.get(Math.trunc(element));
      if (place !== undefined) data[i * categories.length + place] = 1;
      else if (!zeros) {
        const message = `${element} is not a category, and the model allows no others`;
        throw new SottoError("BAD_VALUE", "OneHotEncoder", message);
      }
    }
    return [float32([...x.shape, categories.length], data)];
  },
});

function categoriesOf(
  integers: readonly number[] | undefined,
  strings: readonly number[] | undefined,
): readonly number[] {
  const categories = integers?.length ? integers : (strings ?? []);
  if (categories.length === 0) fail("OneHotEncoder", "it has no categories");
  return categories;
}

/** Looks each element up in a list of keys and gives the value at its place; a default where it is not there. */
export const LabelEncoder: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: {
    default_float: float(-0),
    default_int64: int(-1),
    default_string: stringCode(),
    default_tensor: optionalTensor(),
    keys_floats: optionalFloats(),
    keys_int64s: optionalInts(),
    keys_strings: stringCodes(),
    keys_tensor: optionalTensor(),
    values_floats: optionalFloats(),
    values_int64s: optionalInts(),
    values_strings: stringCodes(),
    values_tensor: optionalTensor(),
  },
  shape([x]: readonly [Operand], attributes) {
    labelMap(attributes);
    return [x.shape];
  },
  evaluate([x]: readonly [Tensor], attributes) {
    const { dtype, values, fallback } = labelMap(attributes);
    const data = Float64Array.from(x.data, (element) => values.get(element) ?? fallback);
    return [tensor(dtype, x.shape, data)];
  },
});

interface LabelAttributes {
  readonly default_float: number;
  readonly default_int64: number;
  readonly default_string: number | undefined;
  readonly default_tensor: Tensor | undefined;
  readonly keys_floats: readonly number[] | undefined;
  readonly keys_int64s: readonly number[] | undefined;
  readonly keys_strings: readonly number[] | undefined;
  readonly keys_tensor: Tensor | undefined;
  readonly values_floats: readonly number[] | undefined;
  readonly values_int64s: readonly number[] | undefined;
  readonly values_strings: readonly number[] | undefined;
  readonly values_tensor: Tensor | undefined;
}

function labelMap(attributes: LabelAttributes): {
  readonly dtype: DType;
  readonly values: ReadonlyMap<number, number>;
  readonly fallback: number;
} {
  const { keys_strings, keys_int64s, keys_floats, keys_tensor } = attributes;
  const keys = keys_strings ?? keys_int64s ?? keys_floats ?? keys_tensor?.data ?? [];
  const { dtype, values, fallback } = labelValues(attributes);
  if (keys.length !== values.length || keys.length === 0) {
    fail("LabelEncoder", `expected a value per key, got ${values.length} for ${keys.length}`);
  }
  const places = new Map<number, number>();
  // The first of equal keys counts.
  for (const [i, key] of keys.entries()) if (!places.has(key)) places.set(key, values[i]);
  return { dtype, values: places, fallback: attributes.default_tensor?.data[0] ?? fallback };
}

/** The values with their type, and what stands for a key that is not there unless a tensor says it. */
function labelValues(attributes: LabelAttributes): {
  readonly dtype: DType;
  readonly values: ArrayLike<number>;
  readonly fallback: number;
} {
  const { values_strings, values_int64s, values_floats, values_tensor } = attributes;
  const { default_string = -1, default_int64, default_float } = attributes;
  if (values_strings) return { dtype: "int64", values: values_strings, fallback: default_string };
  if (values_int64s) return { dtype: "int64", values: values_int64s, fallback: default_int64 };
  if (values_floats) return { dtype: "float32", values: values_floats, fallback: default_float };
  const { dtype, data } = values_tensor ?? fail("LabelEncoder", "it has no values");
  return { dtype, values: data, fallback: dtype === "int64" ? default_int64 : default_float };
}

/** Scores as a dictionary in ONNX; here the matrix that they are, whose columns are the labels' (`GraphValue.classes`). */
export const ZipMap: Operator = defineOperator({
  minInputs: 1,
  maxInputs: 1,
  since: 1,
  attributes: { classlabels_int64s: optionalInts(), classlabels_strings: stringCodes() },
  shape([x]: readonly [Operand], { classlabels_int64s, classlabels_strings }) {
    const labels = (classlabels_strings?.length ? classlabels_strings : classlabels_int64s) ?? [];
    if (x.shape.at(-1) === labels.length) return [x.shape];
    return fail("ZipMap", `expected ${labels.length} columns, got [${x.shape.join(", ")}]`);
  },
  evaluate: ([x]: readonly [Tensor]) => [x],
});

/** Chosen entries along the last axis; a vector is one row. */
export const ArrayFeatureExtractor: Operator = defineOperator({
  minInputs: 2,
  maxInputs: 2,
  since: 1,
  attributes: {},
  shape: ([x, indices]: readonly [Operand, Operand]) => [extracted(x.shape, indices.shape)],
  evaluate([x, indices]: readonly [Tensor, Tensor]) {
    const size = x.shape.at(-1) ?? 0;
    const wrong = indices.data.find((index) => index < 0 || index >= size);
    if (wrong !== undefined) {
      const message = `expected indices of ${size} entries, got ${wrong}`;
      throw new SottoError("BAD_VALUE", "ArrayFeatureExtractor", message);
    }
    const chosen = take(x, x.shape.length - 1, indices.data);
    return [reshape(chosen, extracted(x.shape, indices.shape))];
  },
});

function extracted(x: Shape, indices: Shape): number[] {
  if (x.length === 0) fail("ArrayFeatureExtractor", "expected at least one axis, got a scalar");
  return [...(x.length === 1 ? [1] : x.slice(0, -1)), sizeOf(indices)];
}

/** Joins features of several inputs, each cut or filled with zeros to its stated width. */
export const FeatureVectorizer: Operator = defineOperator({
  minInputs: 1,
  maxInputs: Infinity,
  since: 1,
  attributes: { inputdimensions: requiredInts() },
  shape(inputs: readonly Operand[], { inputdimensions: widths }) {
    if (widths.length !== inputs.length || widths.some((width) => width < 0)) {
      const message = `expected a width per input, got [${widths.join(", ")}] for ${inputs.length}`;
      fail("FeatureVectorizer", message);
    }
    const rows = new Set(inputs.map(({ shape }) => (shape.length === 1 ? 1 : shape[0])));
    if (rows.size > 1) fail("FeatureVectorizer", `inputs of ${[...rows].join(" and ")} rows`);
    const [first] = inputs;
    const width = widths.reduce((sum, next) => sum + next, 0);
    return [[first.shape.length === 1 ? 1 : first.shape[0], width]];
  },
  evaluate(inputs: readonly Tensor[], { inputdimensions: widths }) {
    const rows = inputs[0].shape.length === 1 ? 1 : inputs[0].shape[0];
    const total = widths.reduce((sum, width) => sum + width, 0);
    const dtype = inputs.some((input) => input.dtype === "float64") ? "float64" : "float32";
    const data = allocate(dtype, rows * total);
    let start = 0;
    for (const [i, input] of inputs.entries()) {
      const columns = rows === 0 ? 0 : input.data.length / rows;
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < Math.min(columns, widths[i]); column++) {
          data[row * total + start + column] = input.data[row * columns + column];
        }
      }
      start += widths[i];
    }
    return [{ dtype, shape: [rows, total], data }];
  },
});
