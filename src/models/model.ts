/**
 * What all models of this folder share: reading a file, a check that it holds such a model, compiling, predicting. A class
 * adds its name, the kind of model that it takes and what its users ask of it.
 * @module
 */
import { compileGraph } from "../compile.ts";
import { SottoError, checkKeys } from "../errors.ts";
import type { CompiledModule, ForwardOptions } from "../execute/module.ts";
import { readModel } from "../artifacts.ts";
import { importGraph } from "../import.ts";
import { evaluate } from "../onnx/evaluate.ts";
import type { Graph } from "../onnx/graph.ts";
import { decodeStrings } from "../onnx/strings.ts";
import type { CompileOptions } from "../options.ts";
import { tensorsOf } from "../tensor/list.ts";
import { float64, type Tensor } from "../tensor/tensor.ts";
import { describeModel, type Family, type Label, type ModelDescription } from "./description.ts";
import { type Rows, rowsOf } from "./rows.ts";

/** The kind of model that a class takes. */
export interface ModelKind {
  readonly family: Family;
  readonly task: "classifier" | "regressor";
}

/** What an instance is made of. */
export interface ModelParts {
  readonly compiled: CompiledModule;
  readonly description: ModelDescription;
}

/** A class of models. */
export interface ModelClass<M> {
  new (parts: ModelParts): M;
  readonly kind: ModelKind;
  readonly name: string;
}

/** A classical model, compiled for encrypted inputs. */
export abstract class Model {
  /** The circuit with its keys, and what client and server need as bytes. */
  readonly compiled: CompiledModule;
  protected readonly description: ModelDescription;

  constructor({ compiled, description }: ModelParts) {
    this.compiled = compiled;
    this.description = description;
  }

  /**
   * Reads a model (bytes or a path; ONNX, or what XGBoost or LightGBM save) and compiles it. Calibration rows are like those
   * to come: a few hundred of the training set will do.
   * Throws BAD_MODEL for a file that holds another kind of model, and what `compileOnnxModel` throws.
   */
  static async fromOnnx<M>(
    this: ModelClass<M>,
    model: Uint8Array | string,
    calibration: Rows,
    options: CompileOptions = {},
  ): Promise<M> {
    const graph = importGraph(await readModel(model));
    return modelOf(this, graph, calibration, options);
  }

  /** Raw scores and outputs for rows. */
  protected run(
    x: Rows,
    options: ForwardOptions,
  ): { scores: Tensor[]; outputs: readonly Tensor[] } {
    checkKeys(options, ["fhe"]);
    const { module } = this.compiled;
    const codes = tensorsOf(module.quantizeInput<Tensor[]>(rowsOf(module.before, x, "input")));
    const answers = tensorsOf(this.compiled.quantizedForward<Tensor[]>(codes, options));
    const scores = answers.map((sums, i) => module.outputs[i].quantizer.dequant(sums));
    return { scores, outputs: evaluate(module.after, scores) };
  }
}

/** Compiles a graph as a model of a class. */
export async function modelOf<M>(
  model: ModelClass<M>,
  graph: Graph,
  calibration: Rows,
  options: CompileOptions,
): Promise<M> {
  // A network of one layer is a linear model, whoever exported it.
  const opset = new Map([["ai.onnx.ml", 1] as const, ...graph.opset]);
  const whole = model.kind.family === "linear" ? { ...graph, opset } : graph;
  const description = describeModel(whole, model.kind.task === "classifier");
  requireKind(model, description);
  const rows = rowsOf(whole, calibration, "calibration");
  const isLinear = description.family === "linear";
  const quantization = { perFeatureInputs: true, ...options.quantization };
  const completed = isLinear ? { ...options, quantization } : options;
  const compiled = await compileGraph(whole, rows, completed);
  return new model({ compiled, description });
}

const FITTING: Readonly<Record<`${Family} ${ModelKind["task"]}`, string>> = {
  "linear classifier": "LogisticRegression, LinearSVC or SGDClassifier",
  "linear regressor": "LinearRegression, Ridge, PoissonRegressor or another linear regressor",
  "trees classifier": "RandomForestClassifier, XGBClassifier or another classifier of trees",
  "trees regressor": "RandomForestRegressor, XGBRegressor or another regressor of trees",
  "neighbours classifier": "KNeighborsClassifier",
  "neighbours regressor": "compileOnnxModel",
  "network classifier": "compileOnnxModel",
  "network regressor": "compileOnnxModel",
};

const FAMILIES: Readonly<Record<Family, string>> = {
  linear: "a linear",
  trees: "a tree",
  neighbours: "a nearest neighbours",
  network: "a neural network",
};

function requireKind<M>(
  { kind, name }: ModelClass<M>,
  { family, classes }: ModelDescription,
): void {
  const task = classes ? "classifier" : "regressor";
  if (family === kind.family && task === kind.task) return;
  const expected = `${FAMILIES[kind.family]} ${kind.task}`;
  const got = `${FAMILIES[family]} ${task}`;
  const message = `expected ${expected} in the file, got ${got}; use ${FITTING[`${family} ${task}`]}`;
  throw new SottoError("BAD_MODEL", name, message);
}

/** A model of numbers. */
export abstract class Regressor extends Model {
  /** Predictions, [rows] or, for several targets, [rows, targets]. */
  predict(x: Rows, options: ForwardOptions = {}): Tensor {
    const { outputs } = this.run(x, options);
    return flat(outputs[this.description.valueOutput]);
  }
}

/** A model of classes. */
export abstract class Classifier extends Model {
  /** The classes, numbers or texts, in the order of the columns of `predictProba`. */
  get classes(): readonly Label[] {
    return this.description.classes ?? [];
  }

  /** The class of each row. */
  predict(x: Rows, options: ForwardOptions = {}): Label[] {
    const { outputs } = this.run(x, options);
    const { labelOutput, valueOutput } = this.description;
    if (labelOutput === null) return this.#winners(outputs[valueOutput]);
    const { strings, name } = this.compiled.module.after.outputs[labelOutput];
    const labels = outputs[labelOutput];
    return strings ? decodeStrings({ name, strings }, labels) : [...labels.data];
  }

  /** A file without labels: the largest score wins; of two classes the second one where its only score is above the middle. */
  #winners(scores: Tensor): Label[] {
    const [rows, columns = 1] = scores.shape;
    const { nodes } = this.compiled.module.after;
    const middle = nodes.some(({ opType }) => opType === "Sigmoid") ? 0.5 : 0;
    return Array.from({ length: rows }, (_, row) => {
      const values = [...scores.data.subarray(row * columns, (row + 1) * columns)];
      const place =
        columns === 1 ? Number(values[0] > middle) : values.indexOf(Math.max(...values));
      return this.classes[place];
    });
  }
}

/** A model of classes that knows how sure it is. */
export abstract class ProbabilisticClassifier extends Classifier {
  /** Probability of each class, [rows, classes]. Throws BAD_MODEL where the file's scores are no probabilities. */
  predictProba(x: Rows, options: ForwardOptions = {}): Tensor {
    const { outputs } = this.run(x, options);
    const values = outputs[this.description.valueOutput];
    return requireProbabilities(bothColumns(values, this.classes.length));
  }
}

/** Of one probability for two classes the second column is stated. */
function bothColumns(values: Tensor, classes: number): Tensor {
  const { shape, data } = values;
  if (data.length !== shape[0] || classes !== 2) return values;
  return float64(
    [shape[0], 2],
    [...data].flatMap((p) => [1 - p, p]),
  );
}

function requireProbabilities(values: Tensor): Tensor {
  const [rows, columns] = values.shape;
  for (let row = 0; row < rows; row++) {
    const lane = [...values.data.subarray(row * columns, (row + 1) * columns)];
    const sum = lane.reduce((total, p) => total + p, 0);
    if (lane.every((p) => p >= -1e-6 && p <= 1 + 1e-6) && Math.abs(sum - 1) < 1e-3) continue;
    const message =
      "expected probabilities, got scores; export the model with them, or use decisionFunction";
    throw new SottoError("BAD_MODEL", "predictProba", message);
  }
  return values;
}

/** A tensor without a last axis of size 1. */
export function flat(values: Tensor): Tensor {
  const { shape, data } = values;
  return shape.length === 2 && shape[1] === 1
    ? float64([shape[0]], Float64Array.from(data))
    : values;
}
