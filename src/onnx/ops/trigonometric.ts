/**
 * Trigonometric and hyperbolic functions and their inverses; NaN outside an inverse's domain.
 * @module
 */
import { unary } from "./elementwise.ts";
import type { Operator } from "./operator.ts";

export const Sin: Operator = unary(Math.sin, 7);
export const Cos: Operator = unary(Math.cos, 7);
export const Tan: Operator = unary(Math.tan, 7);
export const Asin: Operator = unary(Math.asin, 7);
export const Acos: Operator = unary(Math.acos, 7);
export const Atan: Operator = unary(Math.atan, 7);
export const Sinh: Operator = unary(Math.sinh, 9);
export const Cosh: Operator = unary(Math.cosh, 9);
export const Asinh: Operator = unary(Math.asinh, 9);
export const Acosh: Operator = unary(Math.acosh, 9);
export const Atanh: Operator = unary(Math.atanh, 9);
