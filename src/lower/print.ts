/**
 * Readable text of a program, one line per instruction.
 * @module
 */
import type { Instruction, Program } from "./program.ts";

/** The program as text. */
export function print({ parameters, inputs, instructions, outputs }: Program): string {
  const { lweDimension, glweDimension, polynomialSize } = parameters;
  const lines = instructions.map(
    (instruction, i) => `  t${inputs.length + i} = ${printInstruction(instruction)}`,
  );
  return [
    `program n=${lweDimension} k=${glweDimension} N=${polynomialSize} {`,
    ...inputs.map((count, i) => `  t${i} = input of ${count}`),
    ...lines,
    `  return ${outputs.map((id) => `t${id}`).join(", ")}`,
    "}",
  ].join("\n");
}

function printInstruction(instruction: Instruction): string {
  if (instruction.kind === "linear") {
    const { operands, groups, rows, positions, terms, constants } = instruction;
    const size = `${groups} x ${rows} x ${positions}, ${terms} terms`;
    return `linear(${operands.map((id) => `t${id}`).join(", ")}) : ${size}${constants.length > 0 ? ", constants" : ""}`;
  }
  const { operand, extensionLog, boxes, tables, sources } = instruction;
  return `lookup(t${operand}) : ${sources.length}, ${tables} tables of ${boxes} boxes, extension ${2 ** extensionLog}`;
}
