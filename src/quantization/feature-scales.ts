/**
 * A range of its own for every feature of a linear model: the client scales features to [-1, 1] before it quantizes them, and
 * the weights make up for it. One range for all features would leave those of small numbers a few codes.
 * @module
 */
import type { Graph, GraphNode, GraphValue, SplitGraph } from "../onnx/graph.ts";
import { evaluateNode } from "../onnx/evaluate.ts";
import { linearModelOf } from "../onnx/ops/ml-linear.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** `(x - offset) * scale` of each feature. */
interface Scaling {
  readonly offset: readonly number[];
  readonly scale: readonly number[];
}

/** What is quantized after the scaling, and what calibrates it. */
export interface Scaled {
  readonly split: SplitGraph;
  readonly calibration: readonly Tensor[];
}

/** Scales every input that only linear models read; calibration rows give the ranges, one tensor per input. */
export function scaleFeatures(split: SplitGraph, calibration: readonly Tensor[]): Scaled {
  return split.graph.inputs.reduce<Scaled>((current, input, i) => scaleInput(current, input, i), {
    split,
    calibration,
  });
}

function scaleInput({ split, calibration }: Scaled, input: GraphValue, place: number): Scaled {
  const { before, graph } = split;
  const readers = graph.nodes.filter(({ inputs }) => inputs.includes(input.name));
  if (readers.length === 0 || readers.some((node) => linearModelOf(node) === null)) {
    return { split, calibration };
  }
  const scaling = scalingOf(calibration[place]);
  const name = `${input.name}/scaled`;
  const scaler: GraphNode = {
    name,
    opType: "Scaler",
    domain: "ai.onnx.ml",
    inputs: [input.name],
    outputs: [name],
    attributes: { ...scaling },
  };
  const value: GraphValue = { ...input, name };
  return {
    split: {
      ...split,
      before: {
        ...before,
        nodes: [...before.nodes, scaler],
        outputs: before.outputs.with(place, value),
        shapes: renamed(before, input.name, name, true),
      },
      graph: {
        ...graph,
        inputs: graph.inputs.with(place, value),
        nodes: graph.nodes.map((node) =>
          readers.includes(node)
            ? { ...node, inputs: [name], attributes: unscaled(node, scaling) }
            : node,
        ),
        shapes: renamed(graph, input.name, name, false),
      },
    },
    calibration: calibration.with(place, evaluateNode(scaler, [calibration[place]])[0]),
  };
}

function renamed({ shapes }: Graph, from: string, to: string, keeps: boolean): Graph["shapes"] {
  const entries = [...shapes].filter(([name]) => keeps || name !== from);
  return new Map([...entries, [to, shapes.get(from) ?? []]]);
}

/** The middle and the reciprocal of half the range of each column; a column of one value becomes 0. */
function scalingOf({ shape: [rows, features], data }: Tensor): Scaling {
  const lows = new Float64Array(features).fill(Infinity);
  const highs = new Float64Array(features).fill(-Infinity);
  for (let i = 0; i < rows * features; i++) {
    lows[i % features] = Math.min(lows[i % features], data[i]);
    highs[i % features] = Math.max(highs[i % features], data[i]);
  }
  // The client computes in float32: the weights must make up for what it really does.
  const halves = Array.from(lows, (low, i) => Math.fround((highs[i] - low) / 2));
  return {
    offset: Array.from(lows, (low, i) => Math.fround((low + highs[i]) / 2)),
    scale: halves.map((half) => Math.fround(1 / (half > 0 ? half : 1))),
  };
}

/** The model on scaled features: weights over the scales, and intercepts with what the offsets add. */
function unscaled(node: GraphNode, { offset, scale }: Scaling): GraphNode["attributes"] {
  const model = linearModelOf(node);
  if (!model) throw new Error(`internal: ${node.name} is no linear model`);
  const { outputs, coefficients, intercepts = [] } = model.map;
  const features = offset.length;
  return {
    ...node.attributes,
    coefficients: coefficients.map((weight, i) => weight / scale[i % features]),
    intercepts: Array.from({ length: outputs }, (_, row) =>
      offset.reduce(
        (sum, middle, i) => sum + coefficients[row * features + i] * middle,
        intercepts[row] ?? 0,
      ),
    ),
  };
}
