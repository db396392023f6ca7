/**
 * What a legal quantized module is. A violation is a bug of ours, found before it becomes wrong integers.
 * @module
 */
import { isElementwise, operatorName } from "../onnx/ops/index.ts";
import { treeEnsembleOf } from "../onnx/ops/ml-trees.ts";
import { BinQuantizer, binnedPorts } from "./bin-quantizer.ts";
import type { QuantizedModule } from "./module.ts";
import type { QuantizedOperation } from "./operation.ts";
import type { UniformQuantizer } from "./quantizer.ts";

/** Throws an internal error unless the module is legal. */
export function verify(module: QuantizedModule): void {
  const { graph, inputs, outputs, operations, constants } = module;
  const producers = new Set(inputs.map(({ name }) => name));
  const defined = new Set([...producers, ...constants.keys()]);
  for (const op of operations) {
    const where = `${op.node.opType} ${op.node.name}`;
    for (const name of op.node.inputs) {
      require(name === "" || defined.has(name), where, `reads ${name}, which is not defined yet`);
    }
    verifyProducers(op, producers, where);
    verifyCalibration(op, where);
    const [result] = op.node.outputs;
    require(!defined.has(result), where, `defines ${result} a second time`);
    defined.add(result);
    if (!op.isFused) producers.add(result);
  }
  require(inputs.length === graph.inputs.length, "module", "an input has no quantizer");
  require(outputs.length === graph.outputs.length, "module", "an output has no quantizer");
  const binned = binnedPorts(inputs);
  for (const { node } of operations) {
    const isTree = treeEnsembleOf(node) !== null;
    require(!isTree || binned.has(node.inputs[0]), node.name, "reads an input without bins");
  }
  for (const { name, quantizer, shape } of inputs) {
    if (quantizer instanceof BinQuantizer) {
      const fits = shape.length === 2 && shape[1] === quantizer.columns.length;
      require(fits, `input ${name}`, "has bins for other columns");
    }
    verifyQuantizer(quantizer, `input ${name}`, { perOutput: false });
    const [lo, hi] = quantizer.codeRange;
    require(lo < hi, `input ${name}`, `has no codes, [${lo}, ${hi}]`);
  }
  for (const { name, quantizer } of outputs) {
    require(defined.has(name), `output ${name}`, "is not computed");
    require(!(quantizer instanceof BinQuantizer), `output ${name}`, "has bins");
    verifyQuantizer(quantizer, `output ${name}`, { perOutput: true });
  }
}

function require(condition: boolean, where: string, message: string): void {
  if (!condition) throw new Error(`internal: ${where} ${message}`);
}

/** A table has one input: a fused operation depends on one integer tensor, and that tensor exists. */
function verifyProducers(
  { node, integerProducers, isFused, rule }: QuantizedOperation,
  known: ReadonlySet<string>,
  where: string,
): void {
  const count = integerProducers.size;
  require(isFused ? count === 1 : count >= 1, where, `has ${count} integer producers`);
  require(isFused === rule.canFuse(count), where, "is fused against its rule");
  require(!isFused || isElementwise(operatorName(node)), where, "is fused but not element-wise");
  for (const name of integerProducers) {
    require(known.has(name), where, `depends on ${name}, which is no tensor of integers`);
  }
}

function verifyCalibration(op: QuantizedOperation, where: string): void {
  const { outputQuantizer, accumulators } = op.calibrated;
  const { isPrecomputedQat, nBits } = outputQuantizer.options;
  verifyQuantizer(outputQuantizer, where, { perOutput: op.isGraphOutput || isPrecomputedQat });
  require(isPrecomputedQat || nBits === op.outputBits, where, "has results of other bits");
  for (const [name, { lo, hi }] of accumulators) {
    const isInterval = Number.isInteger(lo) && Number.isInteger(hi) && lo <= hi;
    require(isInterval, where, `has its ${name} in [${lo}, ${hi}]`);
  }
}

/** Only raw accumulators at graph outputs have a zero point per output, with the bias in it, or a scale per channel. */
function verifyQuantizer(
  { scale, zeroPoint }: UniformQuantizer,
  where: string,
  { perOutput }: { readonly perOutput: boolean },
): void {
  const scales = typeof scale === "number" ? [scale] : [...scale.data];
  require(typeof scale === "number" || perOutput, where, "has a scale per channel");
  for (const step of scales)
    require(Number.isFinite(step) && step !== 0, where, `has scale ${step}`);
  if (typeof zeroPoint !== "number") {
    require(perOutput, where, "has a zero point per output");
    require(zeroPoint.data.every(Number.isFinite), where, "has a zero point that is no number");
    return;
  }
  require(Number.isInteger(zeroPoint), where, `has zero point ${zeroPoint}`);
}
