/**
 * Gemm with factors and transposes: what falls on constants is computed once, what falls on values becomes nodes of its own.
 * @module
 */
import { scaleBy } from "../../tensor/elementwise.ts";
import { transpose } from "../../tensor/strided.ts";
import { type Tensor, scalar } from "../../tensor/tensor.ts";
import type { Replacement } from "./builder.ts";

/** Leaves `A B + C` alone; `transB` of a constant stays, as every exporter writes it. */
export function gemm(r: Replacement): void {
  const [a, b, c = ""] = r.node.inputs;
  const { alpha = 1, beta = 1, transA = 0, transB = 0 } = r.node.attributes;
  const weights = r.known(1);
  const isPlain = alpha === 1 && (beta === 1 || c === "") && transA === 0;
  if (isPlain && (transB === 0 || r.isFixed(1))) return;
  const left = transA === 1 ? turned(r, a, r.known(0)) : a;
  const bias = beta === 0 ? "" : scaledBy(r, c, Number(beta));
  if (weights) {
    const scaled = alpha === 1 ? b : r.constant(scaleBy(weights, Number(alpha)));
    return r.result("Gemm", present(left, scaled, bias), transB === 1 ? { transB } : {});
  }
  const right = transB === 1 ? turned(r, b, undefined) : b;
  if (alpha === 1) return r.result("Gemm", present(left, right, bias));
  const product = r.add("Gemm", [left, right]);
  const scaled = [product, r.constant(scalar("float32", Number(alpha)))];
  if (bias === "") return r.result("Mul", scaled);
  r.result("Add", [r.add("Mul", scaled), bias]);
}

function turned(r: Replacement, name: string, value: Tensor | undefined): string {
  return value ? r.constant(transpose(value)) : r.add("Transpose", [name], { perm: [1, 0] });
}

function scaledBy(r: Replacement, name: string, factor: number): string {
  if (name === "" || factor === 1) return name;
  const value = r.known(2);
  if (value) return r.constant(scaleBy(value, factor));
  return r.add("Mul", [name, r.constant(scalar("float32", factor))]);
}

function present(...names: readonly string[]): string[] {
  return names.filter((name) => name !== "");
}
