/**
 * What a legal circuit is. A violation is a bug of ours, found before it becomes decryption noise.
 * @module
 */
import { sameShape } from "../tensor/tensor.ts";
import { inferShape } from "./builder.ts";
import { type Circuit, type CircuitOp, countReaders, isFloat } from "./ir.ts";

const ARITY: Readonly<Record<CircuitOp["kind"], number>> = {
  input: 0,
  matmul: 1,
  conv: 1,
  add: 2,
  sub: 2,
  shift: 1,
  reshape: 1,
  gather: -1,
  oneHot: 1,
  select: 1,
  round: 1,
  fit: 1,
  dequantize: 1,
  float: -1,
  quantize: 1,
  list: 1,
  table: 1,
  extractBit: 1,
};

/** How far a circuit has come: floats are gone after "fused", bounds are known after "bounded". */
export type CircuitStage = "built" | "fused" | "bounded";

/** Throws an internal error unless the circuit is legal at the given stage. */
export function verify(circuit: Circuit, stage: CircuitStage): void {
  circuit.values.forEach((value, i) => {
    const where = `%${i} (${value.op.kind}, ${value.name})`;
    const arity = ARITY[value.op.kind];
    if (arity !== -1 && value.inputs.length !== arity) {
      throw new Error(`internal: ${where} has ${value.inputs.length} inputs instead of ${arity}`);
    }
    if (value.inputs.some((id) => id >= i))
      throw new Error(`internal: ${where} uses a later value`);
    if (value.op.kind === "oneHot" && circuit.values[value.inputs[0]].op.kind !== "input") {
      throw new Error(`internal: ${where} reads a value that the client does not have`);
    }
    if (value.op.kind === "select" && circuit.values[value.inputs[0]].op.kind !== "oneHot") {
      throw new Error(`internal: ${where} reads a value that is not one-hot`);
    }
    if (
      stage !== "built" &&
      (isFloat(value.op) || value.op.kind === "quantize" || value.op.kind === "list")
    ) {
      throw new Error(`internal: ${where} is left after fusion`);
    }
    if (stage === "bounded") verifyBounds(circuit, i, where);
    if (stage === "built" && value.op.kind !== "input") {
      const shape = inferShape(
        value.op,
        value.inputs.map((id) => circuit.values[id].shape),
      );
      if (!sameShape(shape, value.shape)) throw new Error(`internal: ${where} has a wrong shape`);
    }
  });
  for (const id of circuit.outputs) {
    if (id >= circuit.values.length) throw new Error(`internal: output %${id} is not defined`);
  }
  if (stage === "bounded") verifyOneHotInputs(circuit);
}

/** The client sends unit vectors or codes, not both. */
function verifyOneHotInputs(circuit: Circuit): void {
  const readers = countReaders(circuit);
  circuit.values.forEach(({ op, inputs }, i) => {
    if (op.kind === "oneHot" && readers[inputs[0]] > 1) {
      throw new Error(`internal: input of %${i} is read as codes too`);
    }
  });
}

function verifyBounds(circuit: Circuit, index: number, where: string): void {
  const { bounds, op } = circuit.values[index];
  if (bounds === null) throw new Error(`internal: ${where} has no bounds`);
  const { calibrated, guaranteed } = bounds;
  if (calibrated.lo < guaranteed.lo || calibrated.hi > guaranteed.hi) {
    throw new Error(`internal: ${where} was measured outside its guaranteed interval`);
  }
  if (op.kind === "table" && op.encoding.kind === "fit" && op.encoding.interval === null) {
    throw new Error(`internal: ${where} has no interval to fit`);
  }
}
