/**
 * Readable text of a circuit, one line per value; tests and `inspect` compare it.
 * @module
 */
import type { Interval } from "./interval.ts";
import { unreachable } from "../errors.ts";
import type { PerChannel } from "../tensor/codes.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type {
  Circuit,
  CircuitOp,
  CircuitValue,
  FitEncoding,
  OneHotOp,
  TableEncoding,
  TableStep,
} from "./ir.ts";

/** The circuit as text. */
export function print(circuit: Circuit): string {
  const lines = circuit.values.map((value, i) => `  %${i} = ${printValue(value)}`);
  return [
    "circuit {",
    ...lines,
    `  return ${circuit.outputs.map((id) => `%${id}`).join(", ")}`,
    "}",
  ].join("\n");
}

function printValue({ op, inputs, shape, bounds, name }: CircuitValue): string {
  const operands = inputs.map((id) => `%${id}`).join(", ");
  const range = bounds
    ? ` in ${printInterval(bounds.calibrated)} of ${printInterval(bounds.guaranteed)}`
    : "";
  return `${printOp(op)}(${operands}) : [${shape.join(", ")}]${range}  # ${name}`;
}

function printInterval({ lo, hi }: Interval): string {
  return `[${lo}, ${hi}]`;
}

function printOp(op: CircuitOp): string {
  switch (op.kind) {
    case "input":
      return `input ${op.index} ${printInterval(op.interval)}`;
    case "matmul":
      return `matmul [${op.weights.shape.join("x")}]`;
    case "conv":
      return printConv(op);
    case "add":
    case "sub":
      return op.kind;
    case "reshape":
      return op.kind;
    case "shift":
      return `shift by ${printShift(op.by)}`;
    case "gather":
      return op.indices.includes(-1) ? `gather with ${op.fill}` : "gather";
    case "oneHot":
      return printOneHot(op);
    case "select":
      return `select ${op.features.length} functions of ${op.sizes.length} features`;
    case "round":
      return `round ${op.method} off ${op.lsbs} bits`;
    case "fit":
      return `fit ${op.steps} steps`;
    case "dequantize":
    case "float":
    case "quantize":
    case "list":
      return printStep({ op, inputs: [] });
    case "table":
      return `table ${printEncoding(op.encoding)} ${op.steps.map(printStep).join(" ")}`;
    case "extractBit":
      return `bit ${op.position}`;
    default:
      return unreachable(op);
  }
}

function printShift(by: number | Tensor): string {
  return typeof by === "number" ? `${by}` : `[${by.shape.join("x")}]`;
}

function printConv({ weights, geometry, padValue }: CircuitOp & { kind: "conv" }): string {
  const { strides, pads, group } = geometry;
  const pad = padValue === 0 ? "" : ` with ${padValue}`;
  return `conv [${weights.shape.join("x")}] strides ${strides.join(",")} pads ${pads.join(",")}${pad} group ${group}`;
}

function printOneHot({ sizes, lowest = 0 }: OneHotOp): string {
  return `one-hot ${sizes.join(",")}${lowest === 0 ? "" : ` from ${lowest}`}`;
}

function printStep({ op }: TableStep): string {
  if (op.kind === "dequantize") return `dequantize ${printScale(op.scale)}`;
  if (op.kind === "float") return op.opType;
  if (op.kind === "list") return `list [${op.results.shape.join("x")}] from ${op.first}`;
  return `quantize ${printScale(op.map.scale)} ${op.map.noClipping ? "unclipped" : `to [${op.map.codeRange.join(", ")}]`}`;
}

function printScale(scale: PerChannel): string {
  return typeof scale === "number" ? `${scale}` : `per channel ${scale.data.length}`;
}

function printWindow({ interval, shifts }: FitEncoding): string {
  if (interval === null) return "";
  if (shifts === undefined) return ` over ${printInterval(interval)}`;
  return ` over ${(interval.hi - interval.lo).toFixed(1)} integers, from ${shifts.data.length} places`;
}

function printEncoding(encoding: TableEncoding): string {
  switch (encoding.kind) {
    case "each":
      return encoding.range ? `each of ${printInterval(encoding.range)}` : "each";
    case "approximate":
    case "rounded":
      return `${encoding.kind} ${encoding.lsbs}`;
    case "fit":
      return `fit ${encoding.steps} steps${printWindow(encoding)}`;
    default:
      return unreachable(encoding);
  }
}
