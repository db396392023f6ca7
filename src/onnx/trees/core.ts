/**
 * Trees in two: raw scores, which are computed encrypted, and what the client makes of them.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { Core, GraphNode } from "../graph.ts";
import { classesOf, classPerScore, rawName, regressionCore } from "../ops/ml-linear-cores.ts";
import { treeEnsembleOf } from "../ops/ml-trees.ts";

/** The two parts of a tree ensemble's node, null for any other node. Throws BAD_MODEL. */
export function treeCore(node: GraphNode): Core | null {
  const ensemble = treeEnsembleOf(node);
  if (!ensemble) return null;
  const { classification, outputCount, postTransform } = ensemble;
  const scores = (output: string): GraphNode => ({
    ...node,
    outputs: [output],
    attributes: { ...node.attributes, raw_scores: 1 },
  });
  if (!classification) return regressionCore(node, postTransform, scores, outputCount);
  const { labels, oneScore } = classification;
  const core = { scores: scores(rawName(node)), width: outputCount };
  switch (oneScore) {
    case null:
      return { ...core, finish: classPerScore(node, labels, postTransform) };
    case "probability": {
      const columns = { coefficients: [-1, 1], intercepts: [1, 0] };
      return { ...core, finish: classesOf(node, labels, "NONE", columns) };
    }
    case "margin": {
      const columns = { coefficients: [-1, 1], intercepts: [0, 0] };
      const transform = postTransform === "LOGISTIC" ? "LOGISTIC" : "NONE";
      return { ...core, finish: classesOf(node, labels, transform, columns) };
    }
    default:
      throw new SottoError("BAD_MODEL", node.name, `unknown scores ${String(oneScore)}`);
  }
}
