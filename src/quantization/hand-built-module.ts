/**
 * A graph of hand-made operators, and its way through post-training quantization.
 * @module
 */
import { SottoError, checkKeys } from "../errors.ts";
import type { Attributes, Graph, GraphNode } from "../onnx/graph.ts";
import { inferShapes } from "../onnx/shapes.ts";
import { verify, verifyNames } from "../onnx/verify.ts";
import { type TensorOrList, tensorsOf } from "../tensor/list.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { QuantizedArray, quantizeConstant } from "./array.ts";
import { type NBits, type Rounding, type RoundingOption, getRounding } from "./bits.ts";
import { checkCount } from "./check.ts";
import { completeChoices } from "./choices.ts";
import { convert } from "./convert.ts";
import type { QuantizedModule } from "./module.ts";
import { finish } from "../steps.ts";
import { postTrainingMethod } from "./post-training.ts";
import { verify as verifyModule } from "./verify.ts";

/** What a graph needs to know of an operator. */
export interface OperatorParts {
  readonly opType: string;
  readonly name: string;
  readonly nBits: NBits;
  readonly operands: readonly (Tensor | QuantizedArray | null)[];
  readonly attributes: Attributes;
}

/** An operator between named values: `inputs` are those of the operands that are null, in order. */
export interface OperatorStep<O extends OperatorParts = OperatorParts> {
  readonly operator: O;
  readonly inputs: readonly string[];
  readonly output: string;
}

/** Operators between named values; every name is defined before it is read. */
export interface OperatorGraph<O extends OperatorParts = OperatorParts> {
  readonly inputs: readonly string[];
  readonly steps: readonly OperatorStep<O>[];
  readonly outputs: readonly string[];
}

/** The newest operator set: what a hand-made operator's attributes mean. */
const OPSET = 22;

/**
 * A module of operators: of a list, where each takes the result of the one before it, or of a graph with named values.
 * Calibration rows run through all of it, one tensor per input; the operators themselves stay as they are.
 * Throws BAD_ARGUMENT, BAD_MODEL (names that are not defined), EMPTY_CALIBRATION, BAD_DTYPE, BAD_SHAPE, BAD_VALUE or
 * UNSUPPORTED_OPERATOR.
 */
export function moduleFromOperators(
  operators: readonly OperatorParts[] | OperatorGraph,
  calibration: TensorOrList,
  options: { readonly roundingThresholdBits?: RoundingOption } = {},
): QuantizedModule {
  checkKeys(options, ["roundingThresholdBits"]);
  const graph = "steps" in operators ? operators : chainOf(operators);
  if (graph.steps.length === 0) {
    throw new SottoError("BAD_ARGUMENT", "operators", "expected at least one operator, got none");
  }
  const rows = tensorsOf(calibration, "calibration");
  const module = quantizeOperators(graph, rows, getRounding(options.roundingThresholdBits));
  verifyModule(module);
  return module;
}

function chainOf(operators: readonly OperatorParts[]): OperatorGraph {
  const names = ["input", ...operators.map((_, i) => `value${i + 1}`)];
  const steps = operators.map((operator, i) => ({
    operator,
    inputs: [names[i]],
    output: names[i + 1],
  }));
  return { inputs: [names[0]], steps, outputs: [names[operators.length]] };
}

/** Quantizes a graph of operators with rows, one tensor per input. */
export function quantizeOperators(
  { inputs, steps, outputs }: OperatorGraph,
  rows: readonly Tensor[],
  rounding: Rounding | null,
): QuantizedModule {
  checkCount(inputs.length, rows, "calibration");
  const given = new Map<Tensor, QuantizedArray>();
  const constants = new Map<string, Tensor>();
  const bits = new Map<string, NBits>();
  const nodes = steps.map((step): GraphNode => {
    const { opType, nBits, operands, attributes } = step.operator;
    const name = uniqueName(step, bits);
    bits.set(name, nBits);
    const names = namesOf(step, (i) => `${name}.operand${i}`);
    operands.forEach((operand, i) => {
      if (operand === null) return;
      const values = operand instanceof QuantizedArray ? operand.values : operand;
      if (operand instanceof QuantizedArray) given.set(values, operand);
      constants.set(names[i], values);
    });
    return { name, opType, domain: "", inputs: names, outputs: [step.output], attributes };
  });
  const graph = graphOf({ inputs, outputs, nodes, constants }, rows);
  const [first, last] = [steps[0].operator.nBits, steps[steps.length - 1].operator.nBits];
  const nBits = { ...first, model_outputs: last.model_outputs };
  const conversion = convert(
    graph,
    {
      ...postTrainingMethod(nBits, rounding, completeChoices({})),
      nBitsOf: (node) => bits.get(node.name) ?? nBits,
      quantizeConstant: (values, use) => given.get(values) ?? quantizeConstant(use.nBits, values),
    },
    rows,
  );
  return finish(conversion).module;
}

/** The operator's name, with a number where an earlier one has it. */
function uniqueName({ operator }: OperatorStep, taken: ReadonlyMap<string, unknown>): string {
  let name = operator.name;
  for (let i = 2; taken.has(name); i++) name = `${operator.name}_${i}`;
  return name;
}

/** Names of all operands of a step. Throws BAD_ARGUMENT when it has too many or too few inputs. */
function namesOf(
  { operator, inputs }: OperatorStep,
  nameOfConstant: (place: number) => string,
): string[] {
  const free = operator.operands.filter((operand) => operand === null).length;
  if (inputs.length !== free) {
    const message = `expected ${free} input(s), one per operand that is null, got ${inputs.length}`;
    throw new SottoError("BAD_ARGUMENT", operator.name, message);
  }
  const flowing = inputs.values();
  return operator.operands.map((operand, i) =>
    operand === null ? (flowing.next().value ?? "") : nameOfConstant(i),
  );
}

/** A verified graph with shapes: those of the rows, with a batch of any size. */
function graphOf(
  parts: {
    readonly inputs: readonly string[];
    readonly outputs: readonly string[];
    readonly nodes: readonly GraphNode[];
    readonly constants: ReadonlyMap<string, Tensor>;
  },
  rows: readonly Tensor[],
): Graph {
  const inputs = parts.inputs.map((name, i) => ({
    name,
    dtype: rows[i].dtype,
    shape: [null, ...rows[i].shape.slice(1)],
  }));
  const opset = new Map([["", OPSET]]);
  const { nodes, constants } = parts;
  verifyNames({
    inputs,
    outputs: parts.outputs.map((name) => ({ name })),
    nodes,
    constants: constants.keys(),
  });
  const inferred = inferShapes({ inputs, nodes, constants, opset });
  const outputs = parts.outputs.map((name) => ({
    name,
    dtype: "float32" as const,
    shape: [null, ...(inferred.shapes.get(name) ?? []).slice(1)],
  }));
  const graph = { name: "operators", opset, inputs, outputs, ...inferred };
  verify(graph);
  return graph;
}
