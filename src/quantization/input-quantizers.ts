/**
 * How the client quantizes the model's inputs. A Quant node or a linear operator that reads an input decides, so that no
 * table is needed; an input that some other table reads first keeps `model_inputs` bits.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { Graph } from "../onnx/graph.ts";
import { treeEnsembleOf } from "../onnx/ops/ml-trees.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { BinQuantizer } from "./bin-quantizer.ts";
import type { NBits } from "./bits.ts";
import { type QuantizedOperation, optionsFor } from "./operation.ts";
import { isQuantNode, isUniform } from "./quant-node.ts";
import { type MinMaxStats, UniformQuantizer, quantizationOptions } from "./quantizer.ts";
import { binsOf } from "./trees/bins.ts";

/** Bits of inputs, and how their ranges follow from rows. */
interface InputMethod {
  readonly nBits: NBits;
  readonly range: (values: Tensor, nBits: number) => MinMaxStats;
}

/** One quantizer per graph input, and the operations with the options of an input's Quant node where one decides. */
export function quantizeInputs(
  graph: Graph,
  operations: readonly QuantizedOperation[],
  calibration: readonly Tensor[],
  method: InputMethod,
): {
  readonly operations: readonly QuantizedOperation[];
  readonly quantizers: readonly UniformQuantizer[];
} {
  let known = operations;
  const quantizers = graph.inputs.map(({ name }, i) => {
    const readers = known.filter(({ integerProducers }) => integerProducers.has(name));
    const bins = binQuantizer(name, readers, calibration[i], method.nBits);
    if (bins !== null) return bins;
    const stated = statedQuantizer(readers);
    if (stated === null) return ownQuantizer(readers, calibration[i], method);
    known = known.map((op) =>
      op.integerProducers.has(name) && !op.isFused ? { ...op, inputOptions: stated.options } : op,
    );
    return stated;
  });
  return { operations: known, quantizers };
}

/** Bins for an input that trees read, null for one that they do not. Throws UNSUPPORTED_OPERATOR where others read it too. */
function binQuantizer(
  name: string,
  readers: readonly QuantizedOperation[],
  rows: Tensor,
  nBits: NBits,
): BinQuantizer | null {
  const ensembles = readers.flatMap(({ node }) => treeEnsembleOf(node) ?? []);
  if (ensembles.length === 0) return null;
  const other = readers.find(({ node }) => treeEnsembleOf(node) === null);
  if (other === undefined) return binsOf(ensembles, rows, nBits.op_inputs);
  throw new SottoError(
    "UNSUPPORTED_OPERATOR",
    other.node.name,
    `expected trees to be all that reads ${name}, got ${other.node.opType}; bins of a feature are no number to compute with`,
  );
}

/** The quantizer of the only Quant node that reads the input; null when there is none or a table must read it anyway. */
function statedQuantizer(readers: readonly QuantizedOperation[]): UniformQuantizer | null {
  const fused = readers.filter(({ isFused }) => isFused);
  const [quant, ...others] = fused;
  if (quant === undefined || others.length > 0) return null;
  const { outputQuantizer } = quant.calibrated;
  const isUsable =
    isQuantNode(quant.node) &&
    isUniform(quant.node) &&
    typeof outputQuantizer.scale === "number" &&
    typeof outputQuantizer.zeroPoint === "number";
  return isUsable ? outputQuantizer : null;
}

/** The options of the first operator that reads codes, or `model_inputs` bits, signed, where a table reads the input. */
function ownQuantizer(
  readers: readonly QuantizedOperation[],
  data: Tensor,
  { nBits, range }: InputMethod,
): UniformQuantizer {
  const first = readers.find(({ isFused }) => !isFused);
  const hasTable = readers.some(({ isFused }) => isFused);
  const bits = first?.inputOptions.nBits ?? nBits.op_inputs;
  const stats = range(data, bits);
  const options =
    first === undefined || hasTable
      ? quantizationOptions({ nBits: nBits.model_inputs, isSigned: true })
      : optionsFor(first, stats);
  return new UniformQuantizer({ ...options, rmin: stats.rmin, rmax: stats.rmax }, stats);
}
