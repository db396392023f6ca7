/**
 * Linear models of ai.onnx.ml, quantized as Concrete ML quantizes those of scikit-learn: signed codes for inputs and weights,
 * each with a zero point, and an intercept that is rounded to the step of the sums. No lookups.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { linearModelOf } from "../../onnx/ops/ml-linear.ts";
import { roundHalfEven } from "../../tensor/codes.ts";
import { transpose } from "../../tensor/strided.ts";
import { float32, float64, int64 } from "../../tensor/tensor.ts";
import { QuantizedArray } from "../array.ts";
import {
  type OperatorRule,
  accumulatorQuantizer,
  codeResult,
  floatResult,
  prepareInput,
  requireVariable,
} from "../operation.ts";
import { accumulatorScale, centredWeights, unfused } from "./accumulator.ts";
import { scalarZeroPoint } from "./integers.ts";

/** Only raw scores get here: what classes or links make of them is the client's work. */
export const LinearRegressor: OperatorRule = {
  ...unfused,
  hasSignedInputs: true,
  lower(target, op, operands) {
    const model = linearModelOf(op.node);
    if (!model) throw new Error(`internal: ${op.node.name} is no linear model`);
    const { outputs, coefficients, intercepts = [] } = model.map;
    const rows = float32([outputs, coefficients.length / outputs], coefficients);
    const quantized = new QuantizedArray(op.weightBits, rows, { isSigned: true });
    const weights = transpose(centredWeights(op, quantized));
    const variable = requireVariable(op, operands[0], "the input");
    const input = prepareInput(target, op, variable);
    const scale = accumulatorScale(op, input.quantizer, quantized, 0, []);
    if (typeof scale !== "number") throw new Error("internal: a linear model has one scale");
    const zero = scalarZeroPoint(input.quantizer);
    const shifts = Float64Array.from(
      { length: outputs },
      (_, i) => zero * columnSum(weights, i) + 0,
    );
    const shape = [1, outputs];
    const steps = shifts.map((shift, i) => roundHalfEven((intercepts[i] ?? 0) / scale + shift) + 0);
    if (!steps.every(Number.isSafeInteger)) {
      throw new SottoError(
        "BAD_VALUE",
        op.node.name,
        "expected intercepts of the size of the results, got one that is too large to be added in steps of the sums; scale the features first",
      );
    }
    const sums = target.emit({ kind: "matmul", weights }, [input.codes], op.node.name);
    const by = int64(shape, steps);
    const codes = target.emit({ kind: "shift", by }, [sums], op.node.name);
    // The intercept holds the shift once, the zero point twice: Concrete ML's integers.
    const zeroPoint = float64(
      shape,
      shifts.map((shift) => 2 * shift),
    );
    if (op.isGraphOutput) {
      const parameters = { scale, zeroPoint, offset: 0 };
      return codeResult(target, op, codes, accumulatorQuantizer(op, parameters));
    }
    const floats = target.emit({ kind: "dequantize", scale, zeroPoint }, [codes], op.node.name);
    return floatResult(op, floats);
  },
};

function columnSum(
  { shape, data }: { readonly shape: readonly number[]; readonly data: Float64Array },
  column: number,
): number {
  const [rows, columns] = shape;
  let sum = 0;
  for (let row = 0; row < rows; row++) sum += data[row * columns + column];
  return sum;
}
