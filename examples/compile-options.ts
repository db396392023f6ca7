/**
 * Compiling with every option, and what comes with a compiled model: statistics, widths, artifacts.
 */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileOnnxModel, readArray } from "sotto";

const folder = await mkdtemp(join(tmpdir(), "sotto-example-"));
const stages = new Set<string>();
const calibration = await readArray("test/fixtures/act_relu/calibration.npy");
const compiled = await compileOnnxModel("test/fixtures/act_relu/model.onnx", calibration, {
  nBits: { op_inputs: 3, op_weights: 3, model_inputs: 4, model_outputs: 5 }, // or one number
  roundingThresholdBits: { nBits: 4, method: "exact" }, // "approximate" and "fit" are cheaper
  importQat: false, // true for models that state their quantizers
  quantization: {
    calibration: "minmax", // or "percentile", "mse", "entropy"
    perChannelWeights: true,
    inputSignedness: "perInput",
    equalization: false,
    biasCorrection: false,
  },
  log2GlobalPError: -30, // or pError, log2PError, globalPError
  bounds: "guaranteed", // no input can overflow; "calibrated" (default) is cheaper
  verbose: false, // true prints the circuit to stderr
  showProgram: false, // true prints what the server will run
  artifacts: join(folder, "artifacts"),
  onnxFile: join(folder, "copy.onnx"),
  signal: new AbortController().signal, // abort() stops at the next stage
  onProgress: (stage) => void stages.add(stage), // (stage, done, total)
});

console.log("stages:", [...stages].join(", "));
// > stages: import, quantize, passes, parameters, lower
console.log("copied:", (await readdir(folder)).sort().join(" "));
// > copied: artifacts copy.onnx
console.log("artifacts:", (await readdir(join(folder, "artifacts"))).sort().join(" "));
// > artifacts: circuit.txt client.sotto parameters.txt program.txt report.html server.sotto
const { tableLookups, securityBits } = compiled.circuit.statistics;
console.log("lookups:", tableLookups, "security:", Math.floor(securityBits));
// > lookups: 48 security: 128
for (const [node, { range, bitwidth }] of Object.entries(compiled.bitwidthAndRangeReport())) {
  console.log(node, "from", range[0], "to", range[1], "in", bitwidth, "bits");
}
// > /fc1/Gemm from -26 to 29 in 6 bits
// > /fc2/Gemm from -50 to 47 in 7 bits
await rm(folder, { recursive: true });
