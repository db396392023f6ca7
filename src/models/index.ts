/**
 * Classical models as classes.
 * @module
 */
export type { Label } from "./description.ts";
export * from "./linear.ts";
export { Classifier, Model, ProbabilisticClassifier, Regressor, type ModelKind } from "./model.ts";
export * from "./neighbours.ts";
export type { Columns, Rows } from "./rows.ts";
export * from "./trees.ts";
