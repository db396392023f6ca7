/**
 * Nearest neighbours under scikit-learn's name.
 * @module
 */
import { ProbabilisticClassifier, type ModelKind } from "./model.ts";

/**
 * The class of most of the k nearest points, all as near as the k-th included. Points and classes of neighbours stay encrypted
 * to the end: the client learns votes.
 */
export class KNeighborsClassifier extends ProbabilisticClassifier {
  static readonly kind: ModelKind = { family: "neighbours", task: "classifier" };
}
