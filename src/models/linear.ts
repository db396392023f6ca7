/**
 * Linear models under scikit-learn's and Concrete ML's names. They need no lookups: a product and a sum per weight.
 * @module
 */
import type { ForwardOptions } from "../execute/module.ts";
import { mapElements } from "../tensor/elementwise.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Classifier, ProbabilisticClassifier, Regressor, flat, type ModelKind } from "./model.ts";
import type { Rows } from "./rows.ts";

const CLASSIFIER: ModelKind = { family: "linear", task: "classifier" };
const REGRESSOR: ModelKind = { family: "linear", task: "regressor" };

/** Of a pair of classes a support vector machine's score is that of the first one. */
function decisions(model: Classifier, [scores]: readonly Tensor[]): Tensor {
  const { nodes } = model.compiled.module.after;
  const isPair = scores.shape[1] === 1 && nodes.some(({ opType }) => opType === "SVMClassifier");
  return flat(isPair ? mapElements(scores, (score) => -score) : scores);
}

/** Logistic regression; coefficients and intercepts of one or of every class. */
export class LogisticRegression extends ProbabilisticClassifier {
  static readonly kind: ModelKind = CLASSIFIER;

  /** Scores before they become probabilities: [rows] for two classes, else [rows, classes]. */
  decisionFunction(x: Rows, options: ForwardOptions = {}): Tensor {
    return decisions(this, this.run(x, options).scores);
  }
}

/** A linear classifier trained by stochastic gradient descent. */
export class SGDClassifier extends LogisticRegression {}

/** A support vector machine with a linear kernel. */
export class LinearSVC extends Classifier {
  static readonly kind: ModelKind = CLASSIFIER;

  /** Signed distances: [rows] for two classes, else [rows, classes]. */
  decisionFunction(x: Rows, options: ForwardOptions = {}): Tensor {
    return decisions(this, this.run(x, options).scores);
  }
}

/** Least squares. */
export class LinearRegression extends Regressor {
  static readonly kind: ModelKind = REGRESSOR;
}

/** Least squares with a penalty on squares of coefficients. */
export class Ridge extends LinearRegression {}

/** Least squares with a penalty on sizes of coefficients. */
export class Lasso extends LinearRegression {}

/** Least squares with both penalties. */
export class ElasticNet extends LinearRegression {}

/** Support vector regression with a linear kernel. */
export class LinearSVR extends LinearRegression {}

/** A linear regression trained by stochastic gradient descent. */
export class SGDRegressor extends LinearRegression {}

/** Regression of counts: the exponential is the client's. */
export class PoissonRegressor extends LinearRegression {}

/** Regression of positive numbers: the exponential is the client's. */
export class GammaRegressor extends LinearRegression {}

/** Regression of a Tweedie distribution, with the link that the file states. */
export class TweedieRegressor extends LinearRegression {}
