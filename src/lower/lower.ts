/**
 * Lowers a bounded circuit to a program: tensors of ciphertexts, matrix products, lookups.
 * Reshapes and moves within a tensor cost nothing, they only change its index map.
 * @module
 */
import { type Circuit, type CircuitValue, type ValueId, oneHotOf, valueId } from "../circuit/ir.ts";
import type { ParameterChoice } from "../parameters/choice.ts";
import type { CircuitConstraint } from "../parameters/constraints.ts";
import type { EncodingPlan } from "../parameters/encoding-plan.ts";
import { type Steps, finish } from "../steps.ts";
import { sizeOf } from "../tensor/tensor.ts";
import type { Context, Located } from "./context.ts";
import { emitScaled, lowerConv, lowerGather, lowerMatmul, lowerShift, lowerSum } from "./linear.ts";
import { lowerBit, lowerTable } from "./lookup.ts";
import { lowerSelect } from "./select.ts";
import type { Instruction, Program, TensorId } from "./program.ts";

/** Lowers a circuit with the parameters chosen for it. */
export function lower(
  circuit: Circuit,
  plan: EncodingPlan,
  constraints: readonly CircuitConstraint[],
  choice: ParameterChoice,
): Program {
  return finish(lowerInSteps(circuit, plan, constraints, choice));
}

/** The same with a step per value. */
export function* lowerInSteps(
  circuit: Circuit,
  plan: EncodingPlan,
  constraints: readonly CircuitConstraint[],
  choice: ParameterChoice,
): Steps<Program> {
  const inputs: number[] = [];
  for (const [i, { op, shape }] of circuit.values.entries()) {
    if (op.kind !== "input") continue;
    const oneHot = oneHotOf(circuit, valueId(i));
    inputs[op.index] = sizeOf(oneHot === null ? shape : circuit.values[oneHot.id].shape);
  }
  const instructions: Instruction[] = [];
  const origins: ValueId[] = [];
  const claim = (id: ValueId): void => {
    while (origins.length < instructions.length) origins.push(id);
  };
  const tensorSizes = [...inputs];
  const emit = (instruction: Instruction): TensorId => {
    instructions.push(instruction);
    tensorSizes.push(sizeOfResult(instruction));
    return tensorSizes.length - 1;
  };
  const context: Context = {
    circuit,
    plan,
    choice,
    constraints,
    located: [],
    tensorSizes,
    emit,
  };
  const total = circuit.values.length;
  for (const [done, value] of circuit.values.entries()) {
    yield { stage: "lower", done, total };
    context.located.push(lowerValue(context, value, valueId(done)));
    claim(valueId(done));
  }
  yield { stage: "lower", done: total, total };
  const outputs = circuit.outputs.map((id) => {
    const output = inOrder(context, id);
    claim(id);
    return output;
  });
  const indices = circuit.outputs.map((id) =>
    constraints.findIndex((c) => c.kind === "output" && c.id === id),
  );
  return {
    parameters: choice.parameters,
    inputs,
    instructions,
    origins,
    outputs,
    outputForms: indices.map((index) => choice.forms[index]),
    outputNoiseStd: indices.map((index) => choice.noiseStd[index]),
  };
}

function sizeOfResult(instruction: Instruction): number {
  if (instruction.kind === "lookup") return instruction.sources.length;
  return instruction.groups * instruction.rows * instruction.positions;
}

function lowerValue(context: Context, value: CircuitValue, id: ValueId): Located {
  const { op, inputs } = value;
  switch (op.kind) {
    case "input":
      return { tensor: op.index, order: null };
    case "oneHot": // the client sends it in place of the codes
    case "reshape":
      return context.located[inputs[0]];
    case "gather":
      return lowerGather(context, op, value);
    case "select":
      return lowerSelect(context, op, value);
    case "matmul":
      return lowerMatmul(context, op, value);
    case "conv":
      return lowerConv(context, op, value);
    case "add":
      return lowerSum(context, value, 1);
    case "sub":
      return lowerSum(context, value, -1);
    case "shift":
      return lowerShift(context, op.by, value);
    case "table":
      return lowerTable(context, op, id);
    case "extractBit":
      return lowerBit(context, op.position, id);
    default:
      throw new Error(`internal: ${op.kind} cannot be lowered`);
  }
}

/** A tensor whose elements are in the circuit's order. */
function inOrder(context: Context, id: ValueId): TensorId {
  const located = context.located[id];
  if (located.order === null) return located.tensor;
  return emitScaled(context, located, sizeOf(context.circuit.values[id].shape), 1, 0n).tensor;
}
