/**
 * A quantized model: its operations with every quantizer fixed, ready to run on integers in the clear or to be compiled.
 * @module
 */
import { buildCircuit } from "./build-circuit.ts";
import { evaluate } from "../circuit/evaluate.ts";
import type { Circuit } from "../circuit/ir.ts";
import { checkKeys } from "../errors.ts";
import { evaluate as evaluateGraph } from "../onnx/evaluate.ts";
import type { Graph, SplitGraph } from "../onnx/graph.ts";
import { runPassesInSteps } from "../passes/index.ts";
import type { BoundsContext } from "../passes/infer-bounds.ts";
import { type Steps, finish } from "../steps.ts";
import { type TensorOrList, oneOrAll, tensorsOf } from "../tensor/list.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { binnedPorts } from "./bin-quantizer.ts";
import type { NBits, Rounding } from "./bits.ts";
import { checkCodes, prepareRows } from "./check.ts";
import { type DebugValues, debugForward } from "./debug.ts";
import type { ConstantOperand, QuantizedOperation } from "./operation.ts";
import type { UniformQuantizer } from "./quantizer.ts";

/** One value that is encrypted or decrypted, with its quantizer; axis 0 of `shape` is the batch. */
export interface QuantizedPort {
  readonly name: string;
  /** Shape of the codes. */
  readonly shape: readonly number[];
  readonly quantizer: UniformQuantizer;
}

/** What `forward` returns with `debug`. */
export interface DebugForward<T> {
  readonly outputs: T;
  /** Integers of every operator, by node name. */
  readonly values: DebugValues;
}

/** What post-training quantization finds. */
export interface QuantizedModuleInit extends SplitGraph {
  readonly nBits: NBits;
  readonly rounding: Rounding | null;
  readonly operations: readonly QuantizedOperation[];
  readonly constants: ReadonlyMap<string, ConstantOperand>;
  readonly inputQuantizers: readonly UniformQuantizer[];
  readonly outputQuantizers: readonly UniformQuantizer[];
  readonly calibration: readonly Tensor[];
}

/** A quantized model. Immutable. */
export class QuantizedModule {
  /** The graph between the client's steps. */
  readonly graph: Graph;
  /** What the client computes before it quantizes: from the model's inputs. */
  readonly before: Graph;
  /** What the client computes after it de-quantizes: to the model's outputs. */
  readonly after: Graph;
  readonly nBits: NBits;
  readonly rounding: Rounding | null;
  readonly operations: readonly QuantizedOperation[];
  readonly constants: ReadonlyMap<string, ConstantOperand>;
  readonly inputs: readonly QuantizedPort[];
  readonly outputs: readonly QuantizedPort[];
  /** Calibration rows, one tensor per input. */
  readonly calibration: readonly Tensor[];
  readonly #circuits = new Map<string, Circuit>();

  constructor(init: QuantizedModuleInit) {
    this.graph = init.graph;
    this.before = init.before;
    this.after = init.after;
    this.nBits = init.nBits;
    this.rounding = init.rounding;
    this.operations = init.operations;
    this.constants = init.constants;
    this.calibration = init.calibration;
    const port = (name: string, quantizer: UniformQuantizer): QuantizedPort => ({
      name,
      shape: [1, ...(init.graph.shapes.get(name) ?? []).slice(1)],
      quantizer,
    });
    this.inputs = init.graph.inputs.map(({ name }, i) => port(name, init.inputQuantizers[i]));
    this.outputs = init.graph.outputs.map(({ name }, i) => port(name, init.outputQuantizers[i]));
  }

  /**
   * The circuit after all passes, with calibrated and guaranteed bounds; fit tables span the chosen ones, or, where they
   * bear noise, the windows that calibration teaches for the nearest power of two of it.
   */
  circuitFor(bounds: BoundsContext["bounds"], interiorNoise: number | null = null): Circuit {
    return finish(this.circuitInSteps(bounds, interiorNoise));
  }

  /** The same with a step per value of the circuit. */
  *circuitInSteps(
    bounds: BoundsContext["bounds"],
    interiorNoise: number | null = null,
  ): Steps<Circuit> {
    // Windows hardly change with the noise, and a circuit takes long to infer: neighbours share one.
    const noise = interiorNoise === null ? null : 2 ** Math.round(Math.log2(interiorNoise));
    const key = `${bounds} ${noise}`;
    const known = this.#circuits.get(key);
    if (known) return known;
    const calibration = this.#quantize(this.calibration);
    const circuit = yield* runPassesInSteps(buildCircuit(this), {
      calibration,
      bounds,
      interiorNoise: noise,
    });
    this.#circuits.set(key, circuit);
    return circuit;
  }

  /** Codes of inputs, rows first, after what the client computes first (scaling, one-hot vectors); one tensor, or a list of several. */
  quantizeInput<T extends Tensor | readonly Tensor[] = Tensor>(x: TensorOrList): T {
    const rows = tensorsOf(x, "input");
    return oneOrAll<T>(
      this.#quantize(prepareRows(this.before, rows, "input", binnedPorts(this.inputs))),
    );
  }

  /** Codes in, codes out, computed in the clear without width limits. */
  quantizedForward<T extends Tensor | readonly Tensor[] = Tensor>(
    codes: TensorOrList,
    bounds: BoundsContext["bounds"] = "calibrated",
  ): T {
    const rows = tensorsOf(codes);
    checkCodes(this.inputs, rows);
    return oneOrAll<T>(evaluate(this.circuitFor(bounds), rows));
  }

  /** Values of output codes, after what the client computes last (probabilities, labels); one tensor, or a list of several. */
  dequantizeOutput<T extends Tensor | readonly Tensor[] = Tensor>(codes: TensorOrList): T {
    const floats = tensorsOf(codes).map((tensor, i) => this.outputs[i].quantizer.dequant(tensor));
    return oneOrAll<T>([...evaluateGraph(this.after, floats)]);
  }

  /**
   * Floats in, floats out, through the integers, in the clear. With `debug` also the integers that every operator reads and
   * leaves. Throws BAD_DTYPE, BAD_SHAPE or BAD_VALUE.
   */
  forward<T extends Tensor | readonly Tensor[] = Tensor>(
    x: TensorOrList,
    options?: { readonly debug?: false },
  ): T;
  forward<T extends Tensor | readonly Tensor[] = Tensor>(
    x: TensorOrList,
    options: { readonly debug: true },
  ): DebugForward<T>;
  forward<T extends Tensor | readonly Tensor[] = Tensor>(
    x: TensorOrList,
    options: { readonly debug?: boolean } = {},
  ): T | DebugForward<T> {
    checkKeys(options, ["debug"]);
    const codes = tensorsOf(this.quantizeInput<Tensor[]>(x));
    if (options.debug !== true) {
      return this.dequantizeOutput<T>(this.quantizedForward<Tensor[]>(codes));
    }
    const { outputs, values } = debugForward(this, codes);
    return { outputs: this.dequantizeOutput<T>(outputs), values };
  }

  #quantize(rows: readonly Tensor[]): Tensor[] {
    return rows.map((tensor, i) => this.inputs[i].quantizer.quant(tensor));
  }
}
