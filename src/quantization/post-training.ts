/**
 * Post-training quantization: runs calibration rows through the graph, node by node, and fixes every quantizer.
 * Calibration data are rounded to codes after every node, fused ones too, while at run time fused nodes pass floats on:
 * this is how Concrete ML calibrates, and the integers depend on it.
 * @module
 */
import type { Interval } from "../circuit/interval.ts";
import { type Target, eagerTarget } from "../circuit/builder.ts";
import { SottoError } from "../errors.ts";
import { evaluateNode } from "../onnx/evaluate.ts";
import type { Graph, GraphNode } from "../onnx/graph.ts";
import { type Tensor, cast } from "../tensor/tensor.ts";
import { quantizeConstant } from "./array.ts";
import {
  type NBits,
  type NBitsOption,
  type Rounding,
  type RoundingOption,
  getNBitsDict,
  getRounding,
} from "./bits.ts";
import { checkRows } from "./check.ts";
import { QuantizedModule } from "./module.ts";
import {
  type ConstantOperand,
  type Operand,
  type QuantizedOperation,
  type QuantizedValue,
  floatResult,
} from "./operation.ts";
import { ruleOf } from "./ops/index.ts";
import { quantizePerChannel } from "./per-channel.ts";
import {
  type QuantizationOptions,
  UniformQuantizer,
  measureStats,
  quantizationOptions,
} from "./quantizer.ts";

/** Calibration data of a tensor, and the quantizer that its producer gave it; null for graph inputs. */
interface Flow {
  readonly data: Tensor;
  readonly quantizer: UniformQuantizer | null;
}

/** Options of post-training quantization beside the bits. */
export interface QuantizationSettings {
  /** Round accumulators to so many bits before a table. Default null: no rounding. */
  readonly roundingThresholdBits?: RoundingOption;
  /** Give weights of linear operators a scale per output channel. Default false, as Concrete ML. */
  readonly perChannelWeights?: boolean;
}

/** Quantizes a float graph with calibration rows. */
export class PostTrainingAffineQuantization {
  readonly nBits: NBits;
  readonly rounding: Rounding | null;
  readonly graph: Graph;
  readonly #perChannelWeights: boolean;

  /** Throws BAD_ARGUMENT on bad bits. */
  constructor(nBits: NBitsOption, graph: Graph, options: QuantizationSettings = {}) {
    this.nBits = getNBitsDict(nBits);
    this.rounding = getRounding(options.roundingThresholdBits);
    this.#perChannelWeights = options.perChannelWeights ?? false;
    this.graph = graph;
  }

  /**
   * One tensor per graph input, rows first, float32 or float64.
   * Throws EMPTY_CALIBRATION, BAD_DTYPE, BAD_SHAPE, BAD_VALUE, or UNSUPPORTED_OPERATOR.
   */
  quantizeModule(...calibration: readonly Tensor[]): QuantizedModule {
    checkRows(this.graph, calibration, "calibration");
    const flows = new Map<string, Flow>();
    const producers = new Map<string, ReadonlySet<string>>();
    this.graph.inputs.forEach(({ name }, i) => {
      flows.set(name, { data: calibration[i], quantizer: null });
      producers.set(name, new Set([name]));
    });
    const constants = this.#quantizeConstants();
    const operations = this.graph.nodes.map((node) =>
      this.#calibrateNode(node, flows, producers, constants),
    );
    return new QuantizedModule({
      graph: this.graph,
      nBits: this.nBits,
      rounding: this.rounding,
      operations,
      constants,
      inputQuantizers: this.graph.inputs.map(({ name }, i) =>
        this.#inputQuantizer(name, calibration[i], operations),
      ),
      outputQuantizers: this.graph.outputs.map(({ name }) => outputQuantizerOf(name, operations)),
      calibration,
    });
  }

  /** Float constants get codes of `op_weights` bits; tensors of integers (shapes, axes) stay as they are. */
  #quantizeConstants(): ReadonlyMap<string, ConstantOperand> {
    const used = new Set(this.graph.nodes.flatMap(({ inputs }) => inputs));
    const axes = this.#perChannelWeights ? weightAxes(this.graph) : new Map<string, number>();
    const constants = new Map<string, ConstantOperand>();
    for (const [name, values] of this.graph.constants) {
      if (!used.has(name)) continue;
      const isFloat = values.dtype === "float32" || values.dtype === "float64";
      const axis = axes.get(name);
      const bits = this.nBits.op_weights;
      const quantized = !isFloat
        ? null
        : axis === undefined
          ? quantizeConstant(bits, values)
          : quantizePerChannel(bits, values, axis);
      constants.set(name, { values, quantized });
    }
    return constants;
  }

  #calibrateNode(
    node: GraphNode,
    flows: Map<string, Flow>,
    producers: Map<string, ReadonlySet<string>>,
    constants: ReadonlyMap<string, ConstantOperand>,
  ): QuantizedOperation {
    const rule = ruleOf(node);
    const names = node.inputs.filter((name) => name !== "");
    const integerProducers = new Set(names.flatMap((name) => [...(producers.get(name) ?? [])]));
    const isFused = rule.canFuse(integerProducers.size);
    const inputOptions = this.#inputOptions(
      rule.usesModelOutputBits,
      names.flatMap((name) => flows.get(name)?.data ?? []),
    );
    const values = node.inputs.map((name) =>
      name === "" ? undefined : (constants.get(name)?.values ?? requireFlow(flows, name).data),
    );
    const [raw] = evaluateNode(node, rule.calibratesInFloat64 ? values.map(toFloat64) : values);
    const [output] = node.outputs;
    const base = {
      node,
      rule,
      integerProducers,
      isFused,
      isGraphOutput: this.graph.outputs.some(({ name }) => name === output),
      inputOptions,
      outputBits: this.nBits.model_outputs,
      weightBits: this.nBits.op_weights,
      rounding: this.rounding,
    };
    const trimmed = rule.trim?.(raw, values) ?? raw;
    const floatQuantizer = this.#resultQuantizer(node, trimmed, flows);
    const accumulators = new Map<string, Interval>();
    const target = eagerTarget((interval, id) => accumulators.set(id, interval));
    const inner = rule.measure?.(values, this.nBits) ?? new Map<string, UniformQuantizer>();
    const draft = { ...base, calibrated: { outputQuantizer: floatQuantizer, accumulators, inner } };
    const operands = node.inputs.map((name) =>
      name === "" ? undefined : operandOf(name, flows, constants, inputOptions),
    );
    const result = lowerNode(target, draft, operands, trimmed);
    flows.set(output, { data: roundToCodes(result), quantizer: result.quantizer });
    producers.set(output, isFused ? integerProducers : new Set([output]));
    const outputQuantizer = base.isGraphOutput ? plainQuantizer(result.quantizer) : floatQuantizer;
    return { ...base, calibrated: { outputQuantizer, accumulators, inner } };
  }

  /** Quantizer of a node's float result: unsigned, `model_outputs` bits; Identity hands its input's on if it has codes. */
  #resultQuantizer(
    node: GraphNode,
    raw: Tensor,
    flows: ReadonlyMap<string, Flow>,
  ): UniformQuantizer {
    const stats = measureStats(raw);
    const inherited = node.opType === "Identity" ? flows.get(node.inputs[0])?.quantizer : null;
    if (typeof inherited?.zeroPoint === "number") {
      const { scale, zeroPoint, offset } = inherited;
      return new UniformQuantizer(
        { nBits: this.nBits.model_outputs, scale, zeroPoint, offset },
        stats,
      );
    }
    const { rmin, rmax } = stats;
    return new UniformQuantizer({ nBits: this.nBits.model_outputs, rmin, rmax }, stats);
  }

  #inputOptions(usesModelOutputBits: boolean, data: readonly Tensor[]): QuantizationOptions {
    return quantizationOptions({
      nBits: usesModelOutputBits ? this.nBits.model_outputs : this.nBits.op_inputs,
      isSigned: data.some((values) => values.data.some((value) => value < 0)),
    });
  }

  /**
   * The first linear or shape operator decides how a graph input is quantized; an input that a table reads first is
   * quantized with `model_inputs` bits, signed.
   */
  #inputQuantizer(
    name: string,
    data: Tensor,
    operations: readonly QuantizedOperation[],
  ): UniformQuantizer {
    const readers = operations.filter(({ integerProducers }) => integerProducers.has(name));
    const first = readers.find(({ isFused }) => !isFused);
    const fusedFirst = readers.some(({ isFused }) => isFused);
    const options =
      first === undefined || fusedFirst
        ? quantizationOptions({ nBits: this.nBits.model_inputs, isSigned: true })
        : first.inputOptions;
    const stats = measureStats(data);
    return new UniformQuantizer({ ...options, rmin: stats.rmin, rmax: stats.rmax }, stats);
  }
}

function toFloat64(values: Tensor | undefined): Tensor | undefined {
  return values?.dtype === "float32" ? cast(values, "float64") : values;
}

/** Axis of the output channels of every constant that only linear operators read as weights, all along that axis. */
function weightAxes({ nodes, constants }: Graph): Map<string, number> {
  const uses = new Map<string, Set<number | null>>();
  for (const node of nodes) {
    node.inputs.forEach((name, i) => {
      if (!constants.has(name)) return;
      const axis = i === 1 ? ruleOf(node).weightAxis?.(node.attributes) : undefined;
      uses.set(name, (uses.get(name) ?? new Set()).add(axis ?? null));
    });
  }
  const axes = new Map<string, number>();
  for (const [name, [axis, ...others]] of uses) {
    const rank = constants.get(name)?.shape.length ?? 0;
    if (others.length === 0 && axis !== null && axis < rank) axes.set(name, axis);
  }
  return axes;
}

function requireFlow(flows: ReadonlyMap<string, Flow>, name: string): Flow {
  const flow = flows.get(name);
  if (flow) return flow;
  throw new SottoError(
    "BAD_MODEL",
    name,
    "expected a tensor that an earlier node or input defines",
  );
}

function operandOf(
  name: string,
  flows: ReadonlyMap<string, Flow>,
  constants: ReadonlyMap<string, ConstantOperand>,
  inputOptions: QuantizationOptions,
): Operand<Tensor> {
  const constant = constants.get(name);
  if (constant) return { constant, value: null };
  const { data, quantizer } = requireFlow(flows, name);
  const stats = measureStats(data);
  const { rmin, rmax } = stats;
  const own = quantizer ?? new UniformQuantizer({ ...inputOptions, rmin, rmax }, stats);
  return { constant: null, value: { floats: data, codes: null, quantizer: own } };
}

function lowerNode(
  target: Target<Tensor>,
  op: QuantizedOperation,
  operands: readonly (Operand<Tensor> | undefined)[],
  raw: Tensor,
): QuantizedValue<Tensor> {
  return op.isFused ? floatResult(op, raw) : op.rule.lower(target, op, operands);
}

/** What the next node is calibrated on: the result after a round trip through its codes. */
function roundToCodes({ codes, floats, quantizer }: QuantizedValue<Tensor>): Tensor {
  return quantizer.dequant(codes ?? quantizer.quant(floats));
}

/** The same parameters without the options: output codes are read as plain unsigned ones. */
function plainQuantizer({
  options,
  scale,
  zeroPoint,
  offset,
  stats,
}: UniformQuantizer): UniformQuantizer {
  return new UniformQuantizer({ nBits: options.nBits, scale, zeroPoint, offset }, stats);
}

function outputQuantizerOf(
  name: string,
  operations: readonly QuantizedOperation[],
): UniformQuantizer {
  const producer = operations.find(({ node }) => node.outputs[0] === name);
  if (producer) return producer.calibrated.outputQuantizer;
  throw new SottoError("BAD_MODEL", name, "expected a graph output that a node computes");
}
