/**
 * Linear models under scikit-learn's and Concrete ML's names. They need no lookups: a product and a sum per weight.
 * @module
 */
import { checkKeys } from "../errors.ts";
import type { ForwardOptions } from "../execute/module.ts";
import type { CompileOptions } from "../options.ts";
import { mapElements } from "../tensor/elementwise.ts";
import type { Tensor, TensorLike } from "../tensor/tensor.ts";
import type { Label } from "./description.ts";
import { classificationGraph, regressionGraph } from "./fit/graph.ts";
import { elasticNet, leastSquares, ridge } from "./fit/least-squares.ts";
import { logisticRegression } from "./fit/logistic.ts";
import { classesOf, requireAtLeast, tableOf, targetsOf } from "./fit/table.ts";
import { Classifier, ProbabilisticClassifier, Regressor, flat, modelOf } from "./model.ts";
import type { ModelClass, ModelKind } from "./model.ts";
import type { Rows } from "./rows.ts";

const CLASSIFIER: ModelKind = { family: "linear", task: "classifier" };
const REGRESSOR: ModelKind = { family: "linear", task: "regressor" };

/** Of a pair of classes a support vector machine's score is that of the first one. */
function decisions(model: Classifier, [scores]: readonly Tensor[]): Tensor {
  const { nodes } = model.compiled.module.after;
  const isPair = scores.shape[1] === 1 && nodes.some(({ opType }) => opType === "SVMClassifier");
  return flat(isPair ? mapElements(scores, (score) => -score) : scores);
}

/** What trains a logistic regression. */
export interface LogisticSettings {
  /** Weight of the data against the penalty on squares of weights. Default 1. */
  readonly c?: number;
}

/** What trains a regression with a penalty. */
export interface PenaltySettings {
  /** Weight of the penalty. Default 1. */
  readonly alpha?: number;
}

/** What trains an elastic net. */
export interface ElasticNetSettings extends PenaltySettings {
  /** Share of the penalty on sizes of coefficients against that on their squares, from 0 to 1. Default 0.5. */
  readonly l1Ratio?: number;
}

/** A linear classifier trained by stochastic gradient descent. */
export class SGDClassifier extends ProbabilisticClassifier {
  static readonly kind: ModelKind = CLASSIFIER;

  /** Scores before they become probabilities: [rows] for two classes, else [rows, classes]. */
  decisionFunction(x: Rows, options: ForwardOptions = {}): Tensor {
    return decisions(this, this.run(x, options).scores);
  }
}

/** Logistic regression. */
export class LogisticRegression extends SGDClassifier {
  /**
   * Trains on rows of features and their classes (whole numbers or texts), in the clear, then compiles with these rows as
   * calibration. Throws BAD_SHAPE, BAD_VALUE, BAD_DTYPE or BAD_ARGUMENT.
   */
  static async fit<M>(
    this: ModelClass<M>,
    x: TensorLike,
    y: readonly Label[],
    settings: LogisticSettings = {},
    options: CompileOptions = {},
  ): Promise<M> {
    checkKeys(settings, ["c"]);
    const c = requireAtLeast("c", settings.c ?? 1, Number.MIN_VALUE);
    const { table, tensor } = tableOf(x);
    const { classes, places } = classesOf(y, table);
    const lines = logisticRegression(table, places, classes.length, c);
    return modelOf(this, classificationGraph(lines, classes), tensor, options);
  }
}

/** A support vector machine with a linear kernel. */
export class LinearSVC extends Classifier {
  static readonly kind: ModelKind = CLASSIFIER;

  /** Signed distances: [rows] for two classes, else [rows, classes]. */
  decisionFunction(x: Rows, options: ForwardOptions = {}): Tensor {
    return decisions(this, this.run(x, options).scores);
  }
}

/** Support vector regression with a linear kernel. */
export class LinearSVR extends Regressor {
  static readonly kind: ModelKind = REGRESSOR;
}

/** A linear regression trained by stochastic gradient descent. */
export class SGDRegressor extends LinearSVR {}

/** Regression of counts: the exponential is the client's. */
export class PoissonRegressor extends LinearSVR {}

/** Regression of positive numbers: the exponential is the client's. */
export class GammaRegressor extends LinearSVR {}

/** Regression of a Tweedie distribution, with the link that the file states. */
export class TweedieRegressor extends LinearSVR {}

/** Least squares. */
export class LinearRegression extends Regressor {
  static readonly kind: ModelKind = REGRESSOR;

  /** Trains on rows of features and their values, in the clear, then compiles with these rows as calibration. */
  static async fit<M>(
    this: ModelClass<M>,
    x: TensorLike,
    y: TensorLike,
    settings: Readonly<Record<string, never>> = {},
    options: CompileOptions = {},
  ): Promise<M> {
    checkKeys(settings, []);
    const { table, tensor } = tableOf(x);
    const line = leastSquares(table, targetsOf(y, table));
    return modelOf(this, regressionGraph(line), tensor, options);
  }
}

/** Least squares with a penalty on squares of coefficients. */
export class Ridge extends Regressor {
  static readonly kind: ModelKind = REGRESSOR;

  /** Trains and compiles, as `LinearRegression.fit`. */
  static async fit<M>(
    this: ModelClass<M>,
    x: TensorLike,
    y: TensorLike,
    settings: PenaltySettings = {},
    options: CompileOptions = {},
  ): Promise<M> {
    checkKeys(settings, ["alpha"]);
    const alpha = requireAtLeast("alpha", settings.alpha ?? 1, 0);
    const { table, tensor } = tableOf(x);
    const line = ridge(table, targetsOf(y, table), alpha);
    return modelOf(this, regressionGraph(line), tensor, options);
  }
}

/** Least squares with a penalty on sizes of coefficients. */
export class Lasso extends Regressor {
  static readonly kind: ModelKind = REGRESSOR;

  /** Trains and compiles, as `LinearRegression.fit`. */
  static async fit<M>(
    this: ModelClass<M>,
    x: TensorLike,
    y: TensorLike,
    settings: PenaltySettings = {},
    options: CompileOptions = {},
  ): Promise<M> {
    checkKeys(settings, ["alpha"]);
    const alpha = requireAtLeast("alpha", settings.alpha ?? 1, 0);
    const { table, tensor } = tableOf(x);
    const line = elasticNet(table, targetsOf(y, table), alpha, 1);
    return modelOf(this, regressionGraph(line), tensor, options);
  }
}

/** Least squares with both penalties. */
export class ElasticNet extends Regressor {
  static readonly kind: ModelKind = REGRESSOR;

  /** Trains and compiles, as `LinearRegression.fit`. */
  static async fit<M>(
    this: ModelClass<M>,
    x: TensorLike,
    y: TensorLike,
    settings: ElasticNetSettings = {},
    options: CompileOptions = {},
  ): Promise<M> {
    checkKeys(settings, ["alpha", "l1Ratio"]);
    const alpha = requireAtLeast("alpha", settings.alpha ?? 1, 0);
    const share = requireAtLeast("l1Ratio", settings.l1Ratio ?? 0.5, 0);
    const { table, tensor } = tableOf(x);
    const line = elasticNet(table, targetsOf(y, table), alpha, Math.min(share, 1));
    return modelOf(this, regressionGraph(line), tensor, options);
  }
}
