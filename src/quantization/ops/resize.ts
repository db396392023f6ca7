/**
 * Resize: a move of codes, or a product with the matrix of the interpolation.
 * @module
 */
import { SottoError } from "../../errors.ts";
import { evaluateNode } from "../../onnx/evaluate.ts";
import { float64, sizeOf } from "../../tensor/tensor.ts";
import { quantizeConstant } from "../array.ts";
import { type OperatorRule, prepareInput, requireVariable } from "../operation.ts";
import { accumulatorScale, centredWeights, finish, unfused, zeroPointOf } from "./accumulator.ts";
import { lowerMove } from "./movement.ts";
import { matrixOf } from "./product.ts";

/** Nearest neighbours are a move of codes; any other interpolation is a product with a constant matrix. */
export const Resize: OperatorRule = {
  ...unfused,
  lower(target, op, operands) {
    const { extrapolation_value: value = 0 } = op.node.attributes;
    const isCropped = op.node.attributes["coordinate_transformation_mode"] === "tf_crop_and_resize";
    if (isCropped && value !== 0) {
      throw new SottoError(
        "UNSUPPORTED_OPERATOR",
        op.node.name,
        `expected extrapolation_value = 0 of Resize on encrypted values, got ${JSON.stringify(value)}`,
      );
    }
    if ((op.node.attributes["mode"] ?? "nearest") === "nearest")
      return lowerMove(target, op, operands);
    const { name } = op.node;
    const input = prepareInput(target, op, requireVariable(op, operands[0], "the image"));
    const [, channels, ...spatial] = target.shapeOf(input.codes);
    const constants = operands.slice(1).map((operand) => operand?.constant?.values);
    const matrix = matrixOf(op, [channels, ...spatial], constants);
    const quantized = quantizeConstant(op.weightBits, matrix);
    const weights = centredWeights(op, quantized);
    const pixels = sizeOf(spatial);
    const lines = target.emit(
      { kind: "reshape", shape: [1, channels, pixels] },
      [input.codes],
      name,
    );
    const sums = target.emit({ kind: "matmul", weights }, [lines], name);
    const image = float64([1, channels, ...spatial], new Float64Array(channels * pixels));
    const [{ shape }] = evaluateNode(op.node, [image, ...constants]);
    const columns = weights.shape[1];
    const shift = zeroPointOf(weights, (i) => i % columns, columns, input.quantizer.zeroPoint, [
      1,
      1,
      ...shape.slice(2),
    ]);
    return finish(target, op, {
      value: target.emit({ kind: "reshape", shape }, [sums], name),
      scale: accumulatorScale(op, input.quantizer, quantized, -1, []),
      zeroPoint: shift,
      bias: null,
    });
  },
};
