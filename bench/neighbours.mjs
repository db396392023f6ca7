/**
 * Encrypted nearest neighbours on a model of skl2onnx: accuracy in the clear, then encrypt, run and decrypt of some rows.
 *
 *   node bench/neighbours.mjs FOLDER [ROWS]      FOLDER holds model.onnx, calibration.npy, inputs.npy and labels.npy
 *
 * Prints a JSON object per setting. `bench/peer/neighbours.py` makes the folder and runs Concrete ML beside it.
 */
import { join } from "node:path";
import { KNeighborsClassifier, readArray } from "../dist/index.js";

const SETTINGS = [
  { op_inputs: 5, op_weights: 3 },
  { op_inputs: 6, op_weights: 4 },
];

const [folder, count = "1"] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: node bench/neighbours.mjs FOLDER [ROWS]");
  process.exit(2);
}

const read = (name) => readArray(join(folder, name));
const [calibration, inputs, labels] = await Promise.all(
  ["calibration.npy", "inputs.npy", "labels.npy"].map(read),
);

for (const { op_inputs, op_weights } of SETTINGS) {
  const nBits = { model_inputs: op_inputs, op_inputs, op_weights, model_outputs: op_inputs };
  const model = await KNeighborsClassifier.fromOnnx(join(folder, "model.onnx"), calibration, {
    nBits,
  });
  const predicted = model.predict(inputs);
  const right = predicted.filter((label, i) => label === labels.data[i]).length;
  const { circuit } = model.compiled;
  const start = performance.now();
  circuit.keygen();
  const keygenSeconds = (performance.now() - start) / 1000;
  const [, features] = inputs.shape;
  const seconds = [];
  let same = true;
  for (let row = 0; row < Number(count); row++) {
    const data = inputs.data.slice(row * features, (row + 1) * features);
    const from = performance.now();
    const [label] = model.predict({ ...inputs, shape: [1, features], data }, { fhe: "execute" });
    seconds.push((performance.now() - from) / 1000);
    same &&= label === predicted[row];
  }
  const { tableLookups, evaluationKeyBytes, inputBytes, outputBytes } = circuit.statistics;
  const costs = { tableLookups, evaluationKeyBytes, inputBytes, outputBytes };
  const accuracy = right / predicted.length;
  console.log(JSON.stringify({ nBits, accuracy, ...costs, keygenSeconds, seconds, same }));
}
