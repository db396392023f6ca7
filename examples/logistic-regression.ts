/**
 * Post-training quantization of a logistic regression (14 features, then a sigmoid) with 2 bits, step by step.
 */
import { readFile } from "node:fs/promises";
import {
  type Tensor,
  PostTrainingAffineQuantization,
  compileModule,
  evaluate,
  importOnnx,
  readArray,
} from "sotto";

const folder = "test/fixtures/seed_logreg";
const graph = importOnnx(new Uint8Array(await readFile(`${folder}/model.onnx`)));
const calibration = await readArray(`${folder}/calibration.npy`);
const x = await readArray(`${folder}/inputs.npy`);

// Calibration rows run through the model once and fix every scale.
const quantization = new PostTrainingAffineQuantization(2, graph);
const module = quantization.quantizeModule(calibration);
for (const { node, isFused } of module.operations) {
  console.log(node.opType, isFused ? "lives in a table" : "computes on integers");
}
// > Gemm computes on integers
// > Sigmoid lives in a table

// The same rows, once in floats and once through integers.
const [expected] = evaluate(graph, [x]);
const got = module.forward(x);
console.log("same side of 0.5:", percent(agreement(expected, got)));
// > same side of 0.5: 77 %

// More bits come closer.
const finer = new PostTrainingAffineQuantization(8, graph).quantizeModule(calibration);
console.log("with 8 bits:", percent(agreement(expected, finer.forward(x))));
// > with 8 bits: 100 %

// Encrypted: one table lookup an answer.
const compiled = compileModule(module);
const row = { shape: [1, 14], data: x.data.slice(0, 14) };
const encrypted: Tensor = compiled.forward(row, { fhe: "execute" });
console.log("lookups:", compiled.circuit.statistics.tableLookups);
// > lookups: 1
console.log("encrypted as in the clear:", encrypted.data[0] === got.data[0]);
// > encrypted as in the clear: true

function agreement(a: Tensor, b: Tensor): number {
  const same = a.data.filter((p, i) => p > 0.5 === b.data[i] > 0.5);
  return same.length / a.data.length;
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
