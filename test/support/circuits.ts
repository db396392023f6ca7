/**
 * Small circuits made by hand, and the whole way from a circuit to simulated answers.
 * @module
 */
import { countOverflows } from "../../src/execute/overflow.ts";
import { CircuitBuilder } from "../../src/circuit/builder.ts";
import type { Circuit, TableEncoding, TableOp } from "../../src/circuit/ir.ts";
import { decodeOutputs } from "../../src/client/client.ts";
import { encodeCodes } from "../../src/client/codec.ts";
import { simulate } from "../../src/execute/simulate.ts";
import type { ClientSpec } from "../../src/format/client-spec.ts";
import { lower } from "../../src/lower/lower.ts";
import { clientPorts } from "../../src/format/ports.ts";
import { passing } from "../../src/onnx/client-steps.ts";
import type { Program } from "../../src/lower/program.ts";
import { verify } from "../../src/lower/verify.ts";
import { constraintsOf } from "../../src/parameters/constraints.ts";
import { planEncodings } from "../../src/parameters/encoding-plan.ts";
import { chooseParameters } from "../../src/parameters/search.ts";
import { runPasses } from "../../src/passes/index.ts";
import { UniformQuantizer } from "../../src/quantization/quantizer.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** A table that gives `clip(round(x / by))`. */
export function divideTable(
  by: number,
  codeRange: readonly [number, number],
  encoding: TableEncoding = { kind: "each" },
): TableOp {
  return {
    kind: "table",
    encoding,
    steps: [
      { op: { kind: "dequantize", scale: 1, zeroPoint: 0 }, inputs: [-1] },
      {
        op: { kind: "quantize", map: { scale: by, zeroPoint: 0, codeRange, noClipping: false } },
        inputs: [0],
      },
    ],
  };
}

/** Builds a circuit. */
export function circuitOf(
  build: (builder: CircuitBuilder) => readonly ReturnType<CircuitBuilder["input"]>[],
): Circuit {
  const builder = new CircuitBuilder();
  return builder.finish(build(builder));
}

/** A circuit on its way to a program, with a way to run it. */
export interface LoweredCircuit {
  readonly circuit: Circuit;
  readonly program: Program;
  readonly spec: ClientSpec;
  /** One row of codes through the simulated program, noise off, with the number of overflows. */
  readonly run: (codes: readonly Tensor[]) => {
    readonly outputs: readonly Tensor<"int64">[];
    readonly overflows: number;
  };
}

/** The graph of a client that computes nothing itself. */
function passingPorts(
  ports: readonly { readonly shape: readonly number[]; readonly name: string }[],
) {
  const shapes = new Map(ports.map(({ name, shape }) => [name, shape]));
  const values = ports.map(({ name, shape }) => ({ name, shape, dtype: "float32" as const }));
  return passing({ name: "ports", opset: new Map(), shapes }, values);
}

/** Runs every stage behind quantization. */
export function lowerCircuit(
  built: Circuit,
  calibration: readonly Tensor[],
  bounds: "calibrated" | "guaranteed",
): LoweredCircuit {
  const circuit = runPasses(built, { calibration, bounds });
  const plan = planEncodings(circuit, bounds);
  const constraints = constraintsOf(circuit, plan);
  const choice = chooseParameters(constraints);
  const program = lower(circuit, plan, constraints, choice);
  verify(program);
  const port = ({ shape, name }: { readonly shape: readonly number[]; readonly name: string }) => ({
    name,
    shape,
    quantizer: new UniformQuantizer({ nBits: 8, scale: 1, zeroPoint: 0, offset: 0 }),
  });
  const ports = {
    inputs: circuit.values.filter(({ op }) => op.kind === "input").map(port),
    outputs: circuit.outputs.map((id) => port(circuit.values[id])),
  };
  const spec: ClientSpec = {
    parameters: choice.parameters,
    modelId: new Uint8Array(16),
    before: passingPorts(ports.inputs),
    ...clientPorts(ports, circuit, plan, { bounds }),
    after: passingPorts(ports.outputs),
    log2PError: choice.log2Bound,
    log2FailureProbability: choice.log2GlobalFailure,
  };
  const run: LoweredCircuit["run"] = (codes) => {
    const plaintexts = codes.map((tensor, i) => encodeCodes(spec.inputs[i], tensor));
    const outputs = decodeOutputs(spec, simulate(program, plaintexts, { noise: false }));
    return { outputs, overflows: countOverflows(circuit, plan, spec.outputs, codes) };
  };
  return { circuit, program, spec, run };
}
