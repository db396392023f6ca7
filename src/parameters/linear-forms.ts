/**
 * Noise as a linear form over independent sources: for every value, how strongly it depends on each fresh input and
 * each lookup result. A source that is used twice is combined first and squared afterwards, so that reuse is never
 * undercounted; where elements share sources the triangle inequality gives an upper bound.
 * @module
 */
import { applyOp } from "../circuit/apply.ts";
import {
  type Circuit,
  type CircuitOp,
  type CircuitValue,
  type GatherOp,
  type SelectOp,
  type ValueId,
  valueId,
} from "../circuit/ir.ts";
import { type SelectedBlock, blocksOf } from "../circuit/select.ts";
import type { Steps } from "../steps.ts";
import { expand } from "../tensor/strided.ts";
import { type Tensor, float64, int64, sizeOf } from "../tensor/tensor.ts";

/** Dependence of one value on its sources. */
export interface LinearForm {
  /** By source value: the 2-norm of each element's coefficients over that source's elements. */
  readonly norms: ReadonlyMap<ValueId, Float64Array>;
  /** No two elements depend on one source element: a weighted sum of them adds squares. */
  readonly isIndependent: boolean;
  /** Some elements may be the same ciphertext: what lookups make of them has the same noise. */
  readonly isRepeated: boolean;
}

/** The linear form of every value, with a step for each; tables, bit extractions and one-hot inputs are sources of their own. */
export function* linearForms(circuit: Circuit): Steps<LinearForm[]> {
  const forms: LinearForm[] = [];
  const total = circuit.values.length;
  for (const [done, value] of circuit.values.entries()) {
    yield { stage: "parameters", done, total };
    const inputs = value.inputs.map((id) => forms[id]);
    forms.push(formOf(value, valueId(done), inputs, { circuit, forms }));
  }
  yield { stage: "parameters", done: total, total };
  return forms;
}

/** Sum over sources of the squared norms, per element: the factor of the sources' variance. */
export function squaredNorm(
  form: LinearForm,
  isWanted: (source: ValueId) => boolean,
  elements: number,
): Float64Array {
  const total = new Float64Array(elements);
  for (const [source, norms] of form.norms) {
    if (isWanted(source)) norms.forEach((norm, i) => (total[i] += norm * norm));
  }
  return total;
}

function formOf(
  { op, shape, inputs: ids }: CircuitValue,
  id: ValueId,
  inputs: readonly LinearForm[],
  { circuit, forms }: { readonly circuit: Circuit; readonly forms: readonly LinearForm[] },
): LinearForm {
  switch (op.kind) {
    case "input":
    case "oneHot":
    case "table":
    case "extractBit": {
      const isRepeated = inputs.some((input) => input.isRepeated);
      return {
        norms: new Map([[id, new Float64Array(sizeOf(shape)).fill(1)]]),
        isIndependent: !isRepeated,
        isRepeated,
      };
    }
    case "select":
      return selected(op, inputs[0]);
    case "matmul":
      return weighted(op, inputs[0], circuit.values[ids[0]].shape);
    case "conv": {
      const form = weighted(op, inputs[0], circuit.values[ids[0]].shape);
      return form.isRepeated && sumsDiffer(op, circuit.values[ids[0]], forms)
        ? { ...form, isRepeated: false }
        : form;
    }
    case "add":
    case "sub":
      return sum(
        broadcast(inputs[0], circuit.values[ids[0]].shape, shape),
        broadcast(inputs[1], circuit.values[ids[1]].shape, shape),
      );
    case "shift":
    case "reshape":
      return inputs[0];
    case "gather":
      return gathered(
        op,
        inputs,
        ids.map((input) => sizeOf(circuit.values[input].shape)),
      );
    default:
      throw new Error(`internal: ${op.kind} has no linear form`);
  }
}

/** Each result weighs the unit vector of its feature. */
function selected(op: SelectOp, input: LinearForm): LinearForm {
  const norm = ({ values, centre }: SelectedBlock): number =>
    Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0));
  const factors = Float64Array.from(blocksOf(op), norm);
  const norms = new Map<ValueId, Float64Array>();
  for (const source of input.norms.keys()) norms.set(source, factors);
  // Functions of one feature share sources without being the same ciphertext, unless they are equal.
  const texts = blocksOf(op).map(({ start, values, centre }) =>
    [start, ...values.map((value) => value - centre)].join(),
  );
  const isIndependent = new Set(op.features).size === op.features.length;
  return { norms, isIndependent, isRepeated: new Set(texts).size < texts.length };
}

/**
 * Whether a convolution that has a filter and one position for each result adds up something else for each: sums with few
 * terms repeat what they read, but not each other.
 */
function sumsDiffer(
  { weights }: CircuitOp & { kind: "conv" },
  { op, inputs }: CircuitValue,
  forms: readonly LinearForm[],
): boolean {
  const [count, terms] = weights.shape;
  const isPlain = op.kind === "gather" && inputs.length === 1 && !forms[inputs[0]].isRepeated;
  if (!isPlain || op.indices.length !== count * terms || weights.data.length !== count * terms) {
    return false;
  }
  const sums = Array.from({ length: count }, (_, i) => {
    const places = Array.from({ length: terms }, (__, t) => i * terms + t);
    const read = places.filter((at) => weights.data[at] !== 0 && op.indices[at] >= 0);
    return read
      .map((at) => `${op.indices[at]} ${weights.data[at]}`)
      .sort()
      .join();
  });
  return new Set(sums).size === count;
}

/** Runs the linear operation itself on squares (independent elements) or on absolute values (bound). */
function weighted(
  op: CircuitOp & { kind: "matmul" | "conv" },
  input: LinearForm,
  inputShape: readonly number[],
): LinearForm {
  const power = input.isIndependent ? 2 : 1;
  const raise = (x: number): number => Math.abs(x) ** power;
  const weights: Tensor<"int64"> = int64(op.weights.shape, op.weights.data.map(raise));
  const lifted = op.kind === "conv" ? { ...op, weights, padValue: 0 } : { ...op, weights };
  const norms = new Map<ValueId, Float64Array>();
  for (const [source, norm] of input.norms) {
    const result = applyOp(lifted, [float64(inputShape, norm.map(raise))]);
    norms.set(
      source,
      Float64Array.from(result.data, (x) => x ** (1 / power)),
    );
  }
  return { norms, isIndependent: false, isRepeated: input.isRepeated };
}

/** The form of a value that is repeated to a larger shape: repeated elements share their sources. */
function broadcast(form: LinearForm, from: readonly number[], to: readonly number[]): LinearForm {
  if (sizeOf(from) === sizeOf(to)) return form;
  const norms = new Map<ValueId, Float64Array>();
  for (const [source, norm] of form.norms) norms.set(source, expand(float64(from, norm), to).data);
  return { norms, isIndependent: false, isRepeated: true };
}

/** Moved elements keep their dependence; one that is repeated shares its sources with its copies. */
function gathered(
  { indices }: GatherOp,
  inputs: readonly LinearForm[],
  sizes: readonly number[],
): LinearForm {
  const norms = new Map<ValueId, Float64Array>();
  let isShared = inputs.some(({ isIndependent }) => !isIndependent);
  let start = 0;
  inputs.forEach((input, operand) => {
    const end = start + sizes[operand];
    for (const [source, norm] of input.norms) {
      const known = norms.get(source);
      if (known) isShared = true;
      const moved = known ?? new Float64Array(indices.length);
      indices.forEach((index, i) => {
        if (index >= start && index < end) moved[i] = norm[index - start];
      });
      norms.set(source, moved);
    }
    start = end;
  });
  const taken = indices.filter((index) => index >= 0);
  const isRepeated = new Set(taken).size < taken.length || inputs.some((input) => input.isRepeated);
  return { norms, isIndependent: !isShared && !isRepeated, isRepeated };
}

function sum(a: LinearForm, b: LinearForm): LinearForm {
  const norms = new Map(a.norms);
  let isShared = false;
  for (const [source, norm] of b.norms) {
    const other = norms.get(source);
    if (other) isShared = true;
    norms.set(source, other ? norm.map((x, i) => x + other[i]) : norm);
  }
  return {
    norms,
    isIndependent: a.isIndependent && b.isIndependent && !isShared,
    // Equal elements on one side differ by those on the other, unless those are equal too.
    isRepeated: a.isRepeated && b.isRepeated,
  };
}
