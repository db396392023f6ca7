/**
 * What a legal program is: sizes agree, references point backwards, boxes ascend. A violation is a bug of ours.
 * @module
 */
import type { LinearInstruction, LookupInstruction, Program } from "./program.ts";

/** Throws an internal error unless the program is legal. */
export function verify(program: Program): void {
  const sizes = [...program.inputs];
  program.instructions.forEach((instruction, i) => {
    const where = `instruction ${i} (${instruction.kind})`;
    const operands = instruction.kind === "linear" ? instruction.operands : [instruction.operand];
    for (const id of operands)
      require(id < sizes.length, where, `operand ${id} is not defined yet`);
    const available = operands.reduce((sum, id) => sum + sizes[id], 0);
    sizes.push(
      instruction.kind === "linear"
        ? verifyLinear(instruction, available, where)
        : verifyLookup(instruction, available, program, where),
    );
  });
  for (const id of program.outputs)
    require(id < sizes.length, "outputs", `tensor ${id} is not defined`);
  require(program.outputForms.length ===
    program.outputs.length, "outputs", "wrong number of forms");
}

function require(condition: boolean, where: string, message: string): void {
  if (!condition) throw new Error(`internal: ${where}: ${message}`);
}

function verifyLinear(
  { groups, rows, positions, terms, weights, gather, constants }: LinearInstruction,
  available: number,
  where: string,
): number {
  require(weights.length === groups * rows * terms, where, "wrong number of weights");
  require(gather.length === groups * positions * terms, where, "wrong number of gathers");
  const size = groups * rows * positions;
  require([0, groups * rows, size].includes(constants.length), where, "wrong number of constants");
  require(gather.every(
    (index) => index >= -1 && index < available,
  ), where, "a gather is out of range");
  return size;
}

function verifyLookup(
  {
    boxes,
    tables,
    starts,
    values,
    offsets,
    outputOffsets,
    sources,
    tableOf,
    degrees,
    noiseStd,
    extensionLog,
  }: LookupInstruction,
  available: number,
  { parameters }: Program,
  where: string,
): number {
  require(parameters.lweDimension > 0, where, "a program without small key cannot look up");
  require(starts.length === tables * boxes &&
    values.length === tables * boxes, where, "wrong table size");
  require(offsets.length === tables &&
    outputOffsets.length === tables, where, "wrong number of offsets");
  require(tableOf.length === sources.length &&
    degrees.length === sources.length &&
    noiseStd.length === sources.length, where, "wrong items");
  require(sources.every((index) => index < available), where, "a source is out of range");
  require(tableOf.every((index) => index < tables), where, "a table is out of range");
  const size = parameters.polynomialSize * 2 ** extensionLog;
  require(degrees.every((degree) => degree < size), where, "a degree is out of range");
  const ascends = starts.every((start, i) =>
    i % boxes === 0 ? start === 0 : start >= starts[i - 1] && start < size,
  );
  require(ascends, where, "boxes do not ascend within the table");
  return sources.length;
}
