/**
 * The compiler on one screen: bytes -> graph -> quantized module -> circuit -> parameters -> program and client spec.
 * @module
 */
import { createHash } from "node:crypto";
import { type TensorOrList, tensorsOf } from "./tensor/list.ts";
import { verify as verifyCircuit } from "./circuit/verify.ts";
import { isAuto, opennessOf, requireFixed, settle } from "./auto.ts";
import { requireLookups, requireMilliseconds } from "./parameters/budgets.ts";
import { costModelInSteps } from "./calibration/machine.ts";
import { SottoError } from "./errors.ts";
import { CompiledModule } from "./execute/module.ts";
import { circuitStatistics } from "./execute/statistics.ts";
import { formatOf, importGraph, isTorchArchive } from "./import.ts";
import type { ClientSpec } from "./format/client-spec.ts";
import { encodeProgram } from "./format/program.ts";
import { lowerInSteps } from "./lower/lower.ts";
import { clientPorts } from "./format/ports.ts";
import { verify as verifyProgram } from "./lower/verify.ts";
import type { Graph } from "./onnx/graph.ts";
import { importOnnx } from "./onnx/import.ts";
import {
  type CompileOptions,
  type FixedOptions,
  checkEncryption,
  checkOptions,
  searchLimits,
  searchTarget,
} from "./options.ts";
import { constraintsInSteps } from "./parameters/constraints.ts";
import { verify as verifyChoice } from "./parameters/choice.ts";
import { compressOutputs } from "./parameters/output-forms.ts";
import { planEncodings } from "./parameters/encoding-plan.ts";
import { chooseParameters } from "./parameters/search.ts";
import { type QatNBitsOption, getQatNBits } from "./quantization/bits.ts";
import { PostTrainingAffineQuantization } from "./quantization/post-training.ts";
import { PostTrainingQATImporter } from "./quantization/qat-import.ts";
import { hasAnyQnnLayers } from "./quantization/quant-node.ts";
import { type QuantizedModule } from "./quantization/module.ts";
import { verify as verifyModule } from "./quantization/verify.ts";
import { type Steps, finish, finishAsync } from "./steps.ts";
import { readModel, writeArtifacts } from "./artifacts.ts";
import type { Tensor } from "./tensor/tensor.ts";
import type { TuningResult } from "./tune/front.ts";
import { completeTuning } from "./tune/options.ts";
import { spaceOf } from "./tune/space.ts";
import { requireChosen, tuneInSteps } from "./tune/tune.ts";

/** Quantizes an ONNX model or a PyTorch program with calibration rows, one tensor per input; nothing is encrypted yet. */
export async function buildQuantizedModule(
  model: Uint8Array | string,
  calibration: TensorOrList,
  options: CompileOptions = {},
): Promise<QuantizedModule> {
  checkOptions(options);
  const steps = fromModelInSteps(await readModel(model), calibration, options);
  return (await finishAsync(steps, options)).module;
}

/**
 * Searches for settings of an ONNX model or a PyTorch program: bits, rounding, choices of quantization and failure
 * probability, whatever `options` leave out or have as "auto" (`nBits` is "auto" unless given). Returns the front of
 * accuracy against predicted time and the point to take, whose `options` go to `compileOnnxModel` with the others.
 * Throws what `compileOnnxModel` throws.
 */
export async function tuneOnnxModel(
  model: Uint8Array | string,
  calibration: TensorOrList,
  options: CompileOptions = {},
): Promise<TuningResult> {
  checkOptions(options);
  const bytes = await readModel(model);
  const open = isAuto(options) ? options : { ...options, nBits: "auto" as const };
  const rows = tensorsOf(calibration, "calibration");
  return finishAsync(searchInSteps(importGraph(bytes), rows, open), options);
}

/** A quantized module, with the options that a search may have completed. */
interface Quantized {
  readonly module: QuantizedModule;
  readonly options: FixedOptions;
  readonly tuning: TuningResult | null;
}

function* fromModelInSteps(
  model: Uint8Array,
  calibration: TensorOrList,
  options: CompileOptions,
): Steps<Quantized> {
  yield { stage: "import", done: 0, total: 1 };
  return yield* fromGraphInSteps(importGraph(model), calibration, options);
}

function* fromGraphInSteps(
  graph: Graph,
  calibration: TensorOrList,
  options: CompileOptions,
): Steps<Quantized> {
  const rows = tensorsOf(calibration, "calibration");
  const tuning = isAuto(options) ? yield* searchInSteps(graph, rows, options) : null;
  const fixed = tuning ? settle(options, requireChosen(tuning).options) : requireFixed(options);
  return { module: yield* quantizeInSteps(graph, rows, fixed), options: fixed, tuning };
}

function* searchInSteps(
  graph: Graph,
  calibration: readonly Tensor[],
  options: CompileOptions,
): Steps<TuningResult> {
  const { maxMilliseconds: _, maxLookups: __, ...unlimited } = options;
  const tuning = completeTuning(options.tuning);
  const result = yield* tuneInSteps({
    graph,
    calibration,
    tuning,
    space: spaceOf(opennessOf(options, graph)),
    budgets: options,
    pipeline: {
      quantize: (rows, found) => quantizeInSteps(graph, rows, settle(options, found)),
      compile: (module, found) => compileInSteps(module, settle(unlimited, found)),
    },
  });
  tuning.onResult?.(result);
  return result;
}

function* quantizeInSteps(
  graph: Graph,
  calibration: readonly Tensor[],
  options: FixedOptions,
): Steps<QuantizedModule> {
  const { nBits = 8, roundingThresholdBits = null, importQat = false } = options;
  const { quantization, reduceSumCopy = false } = options;
  const common = { roundingThresholdBits, reduceSumCopy };
  const quantizer = importQat
    ? new PostTrainingQATImporter(nBits, graph, common)
    : new PostTrainingAffineQuantization(nBits, graph, { ...quantization, ...common });
  const module = yield* quantizer.quantizeInSteps(calibration);
  verifyModule(module);
  return module;
}

/**
 * Compiles a PyTorch program (bytes or a path of what `torch.export.save` wrote) for encrypted inputs, as `compileOnnxModel`
 * compiles its ONNX export. Throws the same errors, and BAD_ARGUMENT for an ONNX file and for a model with Brevitas layers.
 */
export async function compileTorchModel(
  model: Uint8Array | string,
  calibration: TensorOrList,
  options: CompileOptions = {},
): Promise<CompiledModule> {
  const bytes = await readModel(model);
  if (!isTorchArchive(bytes)) {
    const message =
      "expected a .pt2 archive of torch.export.save; use compileOnnxModel for ONNX files";
    throw new SottoError("BAD_ARGUMENT", "model", message);
  }
  return compileOnnxModel(bytes, calibration, options);
}

/**
 * Compiles an ONNX model (bytes or a path) for encrypted inputs.
 * Throws SottoError: BAD_ARGUMENT, BAD_MODEL, UNSUPPORTED_OPERATOR, EMPTY_CALIBRATION, BAD_DTYPE, BAD_SHAPE, BAD_VALUE,
 * TABLE_TOO_WIDE, NO_PARAMETERS, CANCELLED.
 */
export async function compileOnnxModel(
  model: Uint8Array | string,
  calibration: TensorOrList,
  options: CompileOptions = {},
): Promise<CompiledModule> {
  const bytes = await readModel(model);
  if (typeof options.onnxFile === "string" && formatOf(bytes) !== "onnx") {
    const kind = isTorchArchive(bytes) ? "PyTorch program" : "booster";
    const message = `a ${kind} has no ONNX file to copy; leave onnxFile out`;
    throw new SottoError("BAD_ARGUMENT", "onnxFile", message);
  }
  checkOptions(options);
  const quantized = await finishAsync(fromModelInSteps(bytes, calibration, options), options);
  const compiled = await compileModuleAsync(quantized.module, quantized.options);
  await writeArtifacts(compiled, model, options, quantized.tuning);
  return compiled;
}

/** Compiles a graph that has been read before. Throws what `compileOnnxModel` throws, and BAD_ARGUMENT for `onnxFile`. */
export async function compileGraph(
  graph: Graph,
  calibration: TensorOrList,
  options: CompileOptions = {},
): Promise<CompiledModule> {
  if (typeof options.onnxFile === "string") {
    const message = "a graph has no ONNX file to copy; leave onnxFile out";
    throw new SottoError("BAD_ARGUMENT", "onnxFile", message);
  }
  checkOptions(options);
  const quantized = await finishAsync(fromGraphInSteps(graph, calibration, options), options);
  const compiled = await compileModuleAsync(quantized.module, quantized.options);
  await writeArtifacts(compiled, "", options, quantized.tuning);
  return compiled;
}

/** Options for a quantization-aware model: only bits of inputs and outputs are left to choose. */
export interface QatCompileOptions extends Omit<
  CompileOptions,
  "nBits" | "importQat" | "quantization"
> {
  /** Bits of inputs and outputs that no quantizer of the model decides; null (default) is 8. */
  readonly nBits?: QatNBitsOption;
}

/**
 * Compiles a model trained with quantization (Brevitas, QONNX, or QuantizeLinear and DequantizeLinear) for encrypted
 * inputs, with the integers it was trained for. Throws BAD_MODEL for a model without quantizers, and what
 * `compileOnnxModel` throws.
 */
export async function compileBrevitasQatModel(
  model: Uint8Array | string,
  calibration: TensorOrList,
  options: QatCompileOptions = {},
): Promise<CompiledModule> {
  const bytes = await readModel(model);
  if (isTorchArchive(bytes)) {
    const message =
      "expected the ONNX file that Brevitas exports, got a .pt2 archive; use export_qonnx or export_onnx_qcdq";
    throw new SottoError("BAD_ARGUMENT", "model", message);
  }
  if (!hasAnyQnnLayers(importOnnx(bytes))) {
    throw new SottoError(
      "BAD_MODEL",
      "model",
      "expected quantizers (Quant, or QuantizeLinear and DequantizeLinear), got none; use compileOnnxModel for a model trained in floats",
    );
  }
  const nBits = getQatNBits(options.nBits);
  return compileOnnxModel(bytes, calibration, { ...options, nBits, importQat: true });
}

/** Compiles a quantized module: circuit, parameters, program, client spec; each stage is verified. */
export function compileModule(
  module: QuantizedModule,
  options: CompileOptions = {},
): CompiledModule {
  return finish(compileInSteps(module, options), options);
}

/** The same, letting the event loop turn between nodes, so that `signal` is heard. */
export function compileModuleAsync(
  module: QuantizedModule,
  options: CompileOptions = {},
): Promise<CompiledModule> {
  return finishAsync(compileInSteps(module, options), options);
}

function* compileInSteps(module: QuantizedModule, options: CompileOptions): Steps<CompiledModule> {
  checkOptions(options);
  const { bounds = "calibrated", interiorNoise = null } = requireFixed(options);
  checkEncryption(options.inputsEncryptionStatus, module.inputs.length);
  const circuit = yield* module.circuitInSteps(bounds, interiorNoise);
  verifyCircuit(circuit, "bounded");
  requireLookups(circuitStatistics(circuit).tableLookups, options);
  const plan = planEncodings(circuit, bounds, interiorNoise);
  const constraints = yield* constraintsInSteps(circuit, plan);
  const costModel = yield* costModelInSteps(options.costModel);
  const found = chooseParameters(constraints, searchTarget(options), {
    ...searchLimits(options),
    costModel,
  });
  const choice = compressOutputs(constraints, found);
  verifyChoice(choice, constraints);
  const program = yield* lowerInSteps(circuit, plan, constraints, choice);
  verifyProgram(program);
  const { bytes, modelId } = encodeProgram(program, sha256);
  const spec: ClientSpec = {
    parameters: choice.parameters,
    modelId,
    before: module.before,
    after: module.after,
    ...clientPorts(module, circuit, plan, {
      bounds,
      forms: program.outputForms,
      isClear: (i) => options.inputsEncryptionStatus?.[i] === "clear",
    }),
    log2PError: choice.log2Bound,
    log2FailureProbability: choice.log2GlobalFailure,
  };
  const compiled = new CompiledModule(module, {
    circuit,
    program,
    programBytes: bytes,
    spec,
    choice,
    plan,
    constraints,
  });
  requireMilliseconds(compiled.circuit.statistics.predictedMs, options);
  return compiled;
}

/** Node's own SHA-256: a large program takes the portable one seconds. */
function sha256(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash("sha256").update(bytes).digest());
}
