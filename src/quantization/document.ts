/**
 * What the list of operators says of encrypted tensors.
 * @module
 */
import { type OperatorColumns } from "../onnx/document.ts";
import { operatorFamilies, supportedOperators } from "../onnx/ops/index.ts";
import { compoundOperators } from "../onnx/rewrite/decompose.ts";
import { costOf } from "./ops/index.ts";

/** The column of docs/operators.md that says what each operator costs on encrypted tensors. */
export function encryptedColumn(): OperatorColumns {
  return { Encrypted: new Map(supportedOperators.map((name) => [name, describe(name)])) };
}

function describe(name: string): string {
  if (name === "Softmax" || name === "LogSoftmax") {
    return "where it is last, by the client; elsewhere as simpler operators";
  }
  if (Object.hasOwn(operatorFamilies["features and labels"], name)) {
    return "before and after the model, by the client";
  }
  if (Object.hasOwn(operatorFamilies["linear models"], name)) {
    return "no lookups; classes and links by the client";
  }
  // Gemm, Max and Min are rules of their own that only some forms are rewritten for.
  const cost = costOf(name);
  if (cost !== null) return cost;
  if (compoundOperators.includes(name)) return "as simpler operators";
  return Object.hasOwn(operatorFamilies["generators"], name) ? "constants only" : "refused";
}
