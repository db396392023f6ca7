/**
 * Models of trees under the names of scikit-learn, XGBoost and LightGBM. `fromOnnx` takes ONNX files, and for the boosters
 * also what their `save_model` writes.
 * @module
 */
import type { ForwardOptions } from "../execute/module.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { ProbabilisticClassifier, Regressor, flat, type ModelKind } from "./model.ts";
import type { Rows } from "./rows.ts";

/** One tree. */
export class DecisionTreeClassifier extends ProbabilisticClassifier {
  static readonly kind: ModelKind = { family: "trees", task: "classifier" };
}

/** The mean of trees. */
export class RandomForestClassifier extends DecisionTreeClassifier {}

/** The mean of trees with random thresholds. */
export class ExtraTreesClassifier extends DecisionTreeClassifier {}

/** A sum of trees, trained one after the other. */
export class GradientBoostingClassifier extends DecisionTreeClassifier {
  /** Sums before they become probabilities: [rows] for two classes, else [rows, classes]. */
  decisionFunction(x: Rows, options: ForwardOptions = {}): Tensor {
    return flat(this.run(x, options).scores[0]);
  }
}

/** The same with binned features. */
export class HistGradientBoostingClassifier extends GradientBoostingClassifier {}

/** A sum of XGBoost's trees. */
export class XGBClassifier extends GradientBoostingClassifier {}

/** A sum of LightGBM's trees. */
export class LGBMClassifier extends GradientBoostingClassifier {}

/** One tree. */
export class DecisionTreeRegressor extends Regressor {
  static readonly kind: ModelKind = { family: "trees", task: "regressor" };
}

/** The mean of trees. */
export class RandomForestRegressor extends DecisionTreeRegressor {}

/** The mean of trees with random thresholds. */
export class ExtraTreesRegressor extends DecisionTreeRegressor {}

/** A sum of trees, trained one after the other. */
export class GradientBoostingRegressor extends DecisionTreeRegressor {}

/** The same with binned features. */
export class HistGradientBoostingRegressor extends DecisionTreeRegressor {}

/** A sum of XGBoost's trees. */
export class XGBRegressor extends DecisionTreeRegressor {}

/** A sum of LightGBM's trees. */
export class LGBMRegressor extends DecisionTreeRegressor {}
