/**
 * Quantized operators by themselves, and modules that are built from them by hand. Shapes, rules and calibration are those
 * of imported models: an operator is a graph of one node, a module a graph of several.
 * @module
 */
import { eagerTarget } from "../circuit/builder.ts";
import { SottoError, checkKeys } from "../errors.ts";
import { evaluateNode } from "../onnx/evaluate.ts";
import type { Attributes, GraphNode } from "../onnx/graph.ts";
import { describeCount, operatorOf } from "../onnx/ops/index.ts";
import { asTensor } from "../tensor/nested.ts";
import type { Tensor, TensorLike } from "../tensor/tensor.ts";
import { QuantizedArray } from "./array.ts";
import { type NBits, type NBitsOption, getNBitsDict } from "./bits.ts";
import { lowerOperation } from "./build-circuit.ts";
import { quantizeOperators } from "./hand-built-module.ts";
import type { Operand, QuantizedOperation, QuantizedValue } from "./operation.ts";
import { ruleOf } from "./ops/index.ts";
import { UniformQuantizer } from "./quantizer.ts";

/** What an operator is made of. */
export interface QuantizedOperatorInit {
  /** Bits of everything, or one number per kind of tensor; the result has `model_outputs` bits. */
  readonly nBits: NBitsOption;
  /**
   * The ONNX inputs in order: null where a value flows in, else a constant, as floats or quantized already. Default: a value
   * flows in at each.
   */
  readonly operands?: readonly (TensorLike | QuantizedArray | null)[];
  /** ONNX attributes; what is left out has ONNX's default. */
  readonly attributes?: Attributes;
  /** Shown in errors, reports and prints. Default: the operator's. */
  readonly name?: string;
}

/** What calibration fixes; an operand is null where a value flows in. */
interface CalibratedOperator {
  readonly operation: QuantizedOperation;
  readonly operands: readonly (Operand<Tensor> | null)[];
}

/** One ONNX operator on quantized arrays. Calibrate it on floats, then apply it; a module calibrates its own. */
export class QuantizedOperator {
  readonly opType: string;
  readonly name: string;
  readonly nBits: NBits;
  readonly operands: readonly (Tensor | QuantizedArray | null)[];
  readonly attributes: Attributes;
  #calibrated: CalibratedOperator | null = null;

  /** Throws UNSUPPORTED_OPERATOR for an operator that cannot be quantized, BAD_ARGUMENT on bad bits or operands. */
  constructor(opType: string, init: QuantizedOperatorInit) {
    checkKeys(init, ["nBits", "operands", "attributes", "name"]);
    const { nBits, attributes = {}, name = opType } = init;
    this.opType = opType;
    this.name = name;
    this.attributes = attributes;
    this.nBits = bitsOfOperator(nBits);
    const { minInputs, maxInputs } = operatorOf({ opType, attributes, name });
    ruleOf({ ...this.#node(), inputs: [], outputs: [] });
    const { operands = Array.from({ length: minInputs }, () => null) } = init;
    if (operands.length < minInputs || operands.length > maxInputs || !operands.includes(null)) {
      const expected = `expected ${describeCount(minInputs, maxInputs)} operand(s), at least one of them null (a value that flows in)`;
      throw new SottoError("BAD_ARGUMENT", name, `${expected}, got ${operands.length}`);
    }
    this.operands = operands.map((operand) =>
      operand === null || operand instanceof QuantizedArray ? operand : asTensor(operand, name),
    );
  }

  /** Number of values that flow in. */
  get arity(): number {
    return this.operands.filter((operand) => operand === null).length;
  }

  /** Quantizer of the result. Throws BAD_ARGUMENT before calibration. */
  get outputQuantizer(): UniformQuantizer {
    return this.#requireCalibrated().operation.calibrated.outputQuantizer;
  }

  /**
   * Fixes the quantizers on floats, one tensor per value that flows in, rows first; returns the operator's float result.
   * Throws EMPTY_CALIBRATION, BAD_ARGUMENT, BAD_DTYPE, BAD_SHAPE or BAD_VALUE.
   */
  calibrate(...inputs: readonly TensorLike[]): Tensor {
    const rows = inputs.map((input) => asTensor(input, this.name));
    this.#requireArity(rows.length);
    const names = rows.map((_, i) => `${this.name}.input${i}`);
    const identity = new QuantizedOperator("Identity", { nBits: this.nBits });
    // An operator of its own passes codes on; as the last of a module it would leave its sums.
    const module = quantizeOperators(
      {
        inputs: names,
        steps: [
          { operator: this, inputs: names, output: this.name },
          { operator: identity, inputs: [this.name], output: `${this.name}.output` },
        ],
        outputs: [`${this.name}.output`],
      },
      rows,
      null,
    );
    const [operation] = module.operations;
    const operands = operation.node.inputs.map((name) => {
      const constant = module.constants.get(name);
      return constant ? { constant, value: null } : null;
    });
    this.#calibrated = { operation, operands };
    const flowing = rows.values();
    const floats = operands.map((operand) => operand?.constant.values ?? flowing.next().value);
    return evaluateNode(operation.node, floats)[0];
  }

  /** Codes in, codes out. Throws BAD_ARGUMENT before calibration, BAD_SHAPE for codes that do not fit. */
  apply(...inputs: readonly QuantizedArray[]): QuantizedArray {
    const { operation, operands } = this.#requireCalibrated();
    this.#requireArity(inputs.length);
    const flowing = inputs.map(operandOf).values();
    const target = eagerTarget(() => {});
    const filled = operands.map((operand) => operand ?? flowing.next().value);
    return arrayOf(lowerOperation(target, operation, filled));
  }

  #node(): Pick<GraphNode, "name" | "opType" | "domain" | "attributes"> {
    return { name: this.name, opType: this.opType, domain: "", attributes: this.attributes };
  }

  #requireArity(got: number): void {
    if (got === this.arity) return;
    const message = `expected ${this.arity} value(s), one per operand that is null, got ${got}`;
    throw new SottoError("BAD_ARGUMENT", this.name, message);
  }

  #requireCalibrated(): CalibratedOperator {
    if (this.#calibrated) return this.#calibrated;
    const message = "expected a calibrated operator, got one without quantizers; call calibrate()";
    throw new SottoError("BAD_ARGUMENT", this.name, message);
  }
}

/** One number counts for every kind of tensor: there is no model around that would need more bits at its ends. */
function bitsOfOperator(nBits: NBitsOption): NBits {
  return typeof nBits === "number"
    ? getNBitsDict({
        model_inputs: nBits,
        op_inputs: nBits,
        op_weights: nBits,
        model_outputs: nBits,
      })
    : getNBitsDict(nBits);
}

/** Operators see the codes of an array, never the floats that it was made from: those are the client's. */
function operandOf(array: QuantizedArray): Operand<Tensor> {
  const { quantizer, qvalues } = array;
  return {
    constant: null,
    value: { floats: array.dequant(), codes: qvalues, quantizer: withStats(quantizer) },
  };
}

/** An operator that needs other codes makes them for a range: that of all codes where no data were seen. */
function withStats(quantizer: UniformQuantizer): UniformQuantizer {
  const { stats, scale, zeroPoint, options, codeRange } = quantizer;
  if (stats !== null || typeof scale !== "number" || typeof zeroPoint !== "number")
    return quantizer;
  const [a, b] = codeRange.map((code) => scale * (code - zeroPoint));
  const { offset, noClipping } = quantizer;
  const range = { rmin: Math.min(a, b), rmax: Math.max(a, b), isFloat32: false };
  return new UniformQuantizer({ ...options, scale, zeroPoint, offset, noClipping }, range);
}

function arrayOf({ floats, codes, quantizer }: QuantizedValue<Tensor>): QuantizedArray {
  const { options, scale, zeroPoint, offset, noClipping, stats } = quantizer;
  const { nBits, ...rest } = options;
  const range = stats === null ? {} : { rmin: stats.rmin, rmax: stats.rmax };
  const init = { ...rest, ...range, scale, zeroPoint, offset, noClipping };
  return new QuantizedArray(nBits, codes ?? quantizer.quant(floats), {
    ...init,
    valueIsFloat: false,
  });
}
