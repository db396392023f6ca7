/**
 * The walk that post-training quantization and the import of quantization-aware models share: calibration rows run through
 * the graph, node by node, and fix every quantizer. What differs between the two is a `ConversionMethod`.
 * @module
 */
import type { Interval } from "../circuit/interval.ts";
import { type Target, eagerTarget } from "../circuit/builder.ts";
import { SottoError } from "../errors.ts";
import { splitClientSteps } from "../onnx/client-steps.ts";
import { evaluateNode } from "../onnx/evaluate.ts";
import type { Graph, GraphNode, SplitGraph } from "../onnx/graph.ts";
import { treeEnsembleOf } from "../onnx/ops/ml-trees.ts";
import type { Steps } from "../steps.ts";
import { clamp, combine, mapElements } from "../tensor/elementwise.ts";
import { type Tensor, cast } from "../tensor/tensor.ts";
import type { QuantizedArray } from "./array.ts";
import type { NBits, Rounding } from "./bits.ts";
import { prepareRows } from "./check.ts";
import { type ConstantUse, constantUses, foldConstant } from "./constants.ts";
import { intoDomain } from "./domain.ts";
import type { Scaled } from "./feature-scales.ts";
import { quantizeInputs } from "./input-quantizers.ts";
import { QuantizedModule } from "./module.ts";
import {
  type ConstantOperand,
  type Operand,
  type QuantizedOperation,
  type QuantizedValue,
  floatResult,
  optionsFor,
} from "./operation.ts";
import { requireRules, ruleOf } from "./ops/index.ts";
import { removeLowBits } from "./power-of-two.ts";
import { isQuantNode, quantizerOf } from "./quant-node.ts";
import { type MinMaxStats, type QuantizationOptions, UniformQuantizer } from "./quantizer.ts";

/** Calibration data of a tensor, and the quantizer that its producer gave it; null for graph inputs. */
interface Flow {
  readonly data: Tensor;
  readonly quantizer: UniformQuantizer | null;
}

/** What is particular to a way of quantizing. */
export interface ConversionMethod {
  readonly nBits: NBits;
  /** Bits of one node, where they are not those of the others. */
  nBitsOf?(node: GraphNode): NBits;
  readonly rounding: Rounding | null;
  /** The terms of sums pass through a table first. */
  readonly copiesSums: boolean;
  /** Moves work to the client before anything is quantized. */
  move?(split: SplitGraph, calibration: readonly Tensor[]): Scaled;
  /** Changes the float model before it is quantized. */
  prepare?(graph: Graph, calibration: readonly Tensor[]): Graph;
  /** Codes of a float constant. */
  quantizeConstant(values: Tensor, use: ConstantUse): QuantizedArray;
  /** How a node quantizes its variable inputs, given their calibration data. */
  inputOptions(nBits: number, data: readonly Tensor[]): QuantizationOptions;
  /** The range of values that codes of so many bits are spread over. */
  range(values: Tensor, nBits: number): MinMaxStats;
  /** Each input of an operator has a sign only if it needs one. */
  readonly signsPerInput: boolean;
  /** What the next node is calibrated on. */
  passOn(result: QuantizedValue<Tensor>, raw: Tensor): Tensor;
}

/** A module, and which tensors carry on the codes of which others: results of operators that only move codes. */
export interface Conversion {
  readonly module: QuantizedModule;
  readonly movedFrom: ReadonlyMap<string, string>;
}

/** Quantizes a graph, with a step per node. Throws EMPTY_CALIBRATION, BAD_DTYPE, BAD_SHAPE, BAD_VALUE, BAD_MODEL or UNSUPPORTED_OPERATOR. */
export function* convert(
  whole: Graph,
  method: ConversionMethod,
  rows: readonly Tensor[],
): Steps<Conversion> {
  const found = splitClientSteps(whole);
  requireRules(found.graph);
  const prepared = prepareRows(found.before, rows, "calibration", readByTrees(found.graph));
  const { split, calibration } = method.move?.(found, prepared) ?? {
    split: found,
    calibration: prepared,
  };
  const { graph: inner, before, after } = split;
  const graph = method.prepare?.(inner, calibration) ?? inner;
  const walk = new Walk(graph, method, calibration);
  const calibrated: QuantizedOperation[] = [];
  const total = graph.nodes.length;
  for (const [done, node] of graph.nodes.entries()) {
    yield { stage: "quantize", done, total };
    const operation = walk.visit(node);
    if (operation) calibrated.push(operation);
  }
  yield { stage: "quantize", done: total, total };
  const rounded = removeLowBits(calibrated, walk.constants);
  const { operations, quantizers } = quantizeInputs(graph, rounded, calibration, method);
  const module = new QuantizedModule({
    graph,
    before,
    after,
    nBits: method.nBits,
    rounding: method.rounding,
    operations,
    constants: walk.constants,
    inputQuantizers: quantizers,
    outputQuantizers: graph.outputs.map(({ name }) => outputQuantizerOf(name, operations)),
    calibration,
  });
  return { module, movedFrom: walk.movedFrom };
}

/** Names of what tree ensembles read: they know what to do with missing values. */
function readByTrees({ nodes }: Graph): ReadonlySet<string> {
  return new Set(nodes.flatMap((node) => (treeEnsembleOf(node) ? [node.inputs[0]] : [])));
}

/** The state of one pass over the nodes. */
class Walk {
  readonly #graph: Graph;
  readonly #method: ConversionMethod;
  readonly #flows = new Map<string, Flow>();
  readonly #lastReaders: ReadonlyMap<string, GraphNode>;
  readonly #producers = new Map<string, ReadonlySet<string>>();
  readonly #constants = new Map<string, ConstantOperand>();
  readonly #movedFrom = new Map<string, string>();

  constructor(graph: Graph, method: ConversionMethod, calibration: readonly Tensor[]) {
    this.#graph = graph;
    this.#method = method;
    this.#lastReaders = new Map(
      graph.nodes.flatMap((node) => node.inputs.map((name) => [name, node] as const)),
    );
    graph.inputs.forEach(({ name }, i) => {
      this.#flows.set(name, { data: calibration[i], quantizer: null });
      this.#producers.set(name, new Set([name]));
    });
    this.#quantizeConstants();
  }

  get constants(): ReadonlyMap<string, ConstantOperand> {
    return this.#constants;
  }

  get movedFrom(): ReadonlyMap<string, string> {
    return this.#movedFrom;
  }

  /** Float constants get codes; tensors of integers (shapes, axes) stay as they are. */
  #quantizeConstants(): void {
    const uses = constantUses(this.#graph, (node) => this.#bitsOf(node));
    for (const [name, values] of this.#graph.constants) {
      const use = uses.get(name);
      if (use) this.#constants.set(name, this.#constant(values, use));
    }
  }

  #constant(values: Tensor, use: ConstantUse): ConstantOperand {
    if (!isFloatType(values)) return { values, quantized: null };
    // A mask of infinities keeps them inside a table; codes are those of what is finite.
    return { values, quantized: this.#method.quantizeConstant(withinFinite(values), use) };
  }

  /** Calibrates a node, or folds it and returns null when all its operands are constants. */
  visit(node: GraphNode): QuantizedOperation | null {
    const names = node.inputs.filter((name) => name !== "");
    if (names.length > 0 && names.every((name) => this.#constants.has(name))) {
      const use = { nBits: this.#bitsOf(node).op_weights, axis: undefined };
      const folded = foldConstant(node, this.#constants, (values) => this.#constant(values, use));
      this.#constants.set(node.outputs[0], folded);
      return null;
    }
    const operation = this.#calibrate(node, names);
    for (const name of names) if (this.#lastReaders.get(name) === node) this.#flows.delete(name);
    return operation;
  }

  #calibrate(node: GraphNode, names: readonly string[]): QuantizedOperation {
    const { rounding } = this.#method;
    const nBits = this.#bitsOf(node);
    const rule = ruleOf(node);
    const integerProducers = new Set(
      names.flatMap((name) => [...(this.#producers.get(name) ?? [])]),
    );
    const isFused = rule.canFuse(integerProducers.size);
    const found = this.#method.inputOptions(
      rule.usesModelOutputBits ? nBits.model_outputs : nBits.op_inputs,
      names.flatMap((name) => this.#flows.get(name)?.data ?? []),
    );
    const inputOptions = rule.hasSignedInputs ? { ...found, isSigned: true } : found;
    const values = node.inputs.map((name) =>
      name === "" ? undefined : (this.#constants.get(name)?.values ?? this.#flow(name).data),
    );
    const inputs = intoDomain(node, values);
    const [raw] = evaluateNode(node, rule.calibrationInputs?.(inputs, node.attributes) ?? inputs);
    const floats = withinFinite(isFloatType(raw) ? raw : cast(raw, "float64"));
    const [output] = node.outputs;
    const isGraphOutput = this.#graph.outputs.some(({ name }) => name === output);
    const base = {
      node,
      rule,
      integerProducers,
      isFused,
      isGraphOutput,
      inputOptions,
      signsPerInput: this.#method.signsPerInput,
      outputBits: nBits.model_outputs,
      weightBits: nBits.op_weights,
      rounding,
      copiesSums: this.#method.copiesSums,
    };
    const trimmed = rule.trim?.(floats, values) ?? floats;
    const floatQuantizer = this.#resultQuantizer(node, trimmed);
    const accumulators = new Map<string, Interval>();
    const target = eagerTarget((interval, id) => accumulators.set(id, interval));
    const inner = rule.measure?.(values, nBits) ?? new Map<string, UniformQuantizer>();
    const draft = { ...base, calibrated: { outputQuantizer: floatQuantizer, accumulators, inner } };
    const operands = node.inputs.map((name) =>
      name === "" ? undefined : this.#operand(name, inputOptions, nBits.op_inputs),
    );
    const result = lowerNode(target, draft, operands, trimmed);
    const moved = operands.findIndex((operand) => operand?.value?.quantizer === result.quantizer);
    if (moved >= 0) this.#movedFrom.set(output, node.inputs[moved]);
    const passed = this.#method.passOn(result, trimmed);
    this.#flows.set(output, {
      data: isFused ? withMasked(passed, raw) : passed,
      quantizer: result.quantizer,
    });
    this.#producers.set(output, isFused ? integerProducers : new Set([output]));
    const isStated = floatQuantizer.options.isPrecomputedQat;
    const outputQuantizer =
      isGraphOutput && !isStated
        ? plainQuantizer(result.quantizer, nBits.model_outputs)
        : floatQuantizer;
    return { ...base, calibrated: { outputQuantizer, accumulators, inner } };
  }

  /**
   * Quantizer of a node's float result: unsigned, `model_outputs` bits. A Quant node states its own; Identity hands its
   * input's on if it has codes, and so does Cast with indices.
   */
  #resultQuantizer(node: GraphNode, raw: Tensor): UniformQuantizer {
    const stats = this.#method.range(raw, this.#readBits(node));
    if (isQuantNode(node)) {
      return quantizerOf(node, (name) => this.#constants.get(name)?.values, stats);
    }
    const nBits = this.#bitsOf(node).model_outputs;
    const input = this.#flows.get(node.inputs[0])?.quantizer;
    const isIndex = input?.scale === 1 && input.zeroPoint === 0; // stays one under Cast
    const isSame = node.opType === "Identity" || (node.opType === "Cast" && isIndex);
    const inherited = isSame ? input : null;
    if (typeof inherited?.zeroPoint === "number") {
      const { scale, zeroPoint, offset } = inherited;
      return new UniformQuantizer({ nBits, scale, zeroPoint, offset }, stats);
    }
    const { rmin, rmax } = stats;
    return new UniformQuantizer({ nBits, rmin, rmax }, stats);
  }

  #operand(name: string, inputOptions: QuantizationOptions, nBits: number): Operand<Tensor> {
    const constant = this.#constants.get(name);
    if (constant) return { constant, value: null };
    const { data, quantizer } = this.#flow(name);
    const own = quantizer ?? this.#inputQuantizer(data, inputOptions, nBits);
    return { constant: null, value: { floats: data, codes: null, quantizer: own } };
  }

  #inputQuantizer(
    data: Tensor,
    inputOptions: QuantizationOptions,
    nBits: number,
  ): UniformQuantizer {
    // Only trees take missing values, and their inputs get bins.
    const present = mapElements(data, (x) => (Number.isNaN(x) ? 0 : x));
    const stats = this.#method.range(withinFinite(present), nBits);
    const { rmin, rmax } = stats;
    const options = optionsFor({ inputOptions, signsPerInput: this.#method.signsPerInput }, stats);
    return new UniformQuantizer({ ...options, rmin, rmax }, stats);
  }

  /** Bits at which a node's result is read: those of its most precise reader. */
  #readBits({ outputs }: GraphNode): number {
    const readers = this.#graph.nodes.filter(({ inputs }) => inputs.includes(outputs[0]));
    const bits = readers.map((reader) => this.#bitsOf(reader).op_inputs);
    return bits.length === 0 ? this.#method.nBits.op_inputs : Math.max(...bits);
  }

  #bitsOf(node: GraphNode): NBits {
    return this.#method.nBitsOf?.(node) ?? this.#method.nBits;
  }

  #flow(name: string): Flow {
    const flow = this.#flows.get(name);
    if (flow) return flow;
    const message = "expected a tensor that an earlier node or input defines";
    throw new SottoError("BAD_MODEL", name, message);
  }
}

/** A branch that is not taken may overflow: what is infinite counts as the largest value that is not, or as 0. */
function withinFinite(values: Tensor): Tensor {
  let lo = Infinity;
  let hi = -Infinity;
  for (const value of values.data) {
    if (value < lo && value !== -Infinity) lo = value;
    if (value > hi && value !== Infinity) hi = value;
  }
  if (!values.data.some((value) => Math.abs(value) === Infinity)) return values;
  return lo <= hi ? clamp(values, lo, hi) : mapElements(values, () => 0);
}

/** Minus infinity goes through a table as it is: what a mask takes out must stay out for the functions behind it. */
function withMasked(values: Tensor, raw: Tensor): Tensor {
  if (!raw.data.includes(-Infinity)) return values;
  return combine(values, raw, (value, x) => (x === -Infinity ? x : value));
}

function isFloatType({ dtype }: Tensor): boolean {
  return dtype === "float32" || dtype === "float64";
}

function lowerNode(
  target: Target<Tensor>,
  op: QuantizedOperation,
  operands: readonly (Operand<Tensor> | undefined)[],
  raw: Tensor,
): QuantizedValue<Tensor> {
  return op.isFused ? floatResult(op, raw) : op.rule.lower(target, op, operands);
}

/** The same parameters without the options: output codes are read as plain unsigned ones. */
function plainQuantizer(
  { scale, zeroPoint, offset, stats }: UniformQuantizer,
  nBits: number,
): UniformQuantizer {
  return new UniformQuantizer({ nBits, scale, zeroPoint, offset }, stats);
}

function outputQuantizerOf(
  name: string,
  operations: readonly QuantizedOperation[],
): UniformQuantizer {
  const producer = operations.find(({ node }) => node.outputs[0] === name);
  if (!producer) {
    throw new SottoError("BAD_MODEL", name, "expected a graph output that a node computes");
  }
  const { outputQuantizer } = producer.calibrated;
  const isStated = outputQuantizer.options.isPrecomputedQat;
  return isStated ? plainQuantizer(outputQuantizer, producer.outputBits) : outputQuantizer;
}
