/**
 * Import of a model that was trained with quantization (Brevitas, 3 bits of weights and activations): its own quantizers
 * decide, and calibration only measures the integers in between.
 */
import { readFile } from "node:fs/promises";
import {
  compileBrevitasQatModel,
  getNBitsDict,
  hasAnyQnnLayers,
  importOnnx,
  readArray,
} from "sotto";

const model = async (name: string): Promise<Uint8Array> =>
  new Uint8Array(await readFile(`test/fixtures/${name}/model.onnx`));
const folder = "test/fixtures/qat_mlp_w3a3";

console.log(
  "quantizers in a float model:",
  hasAnyQnnLayers(importOnnx(await model("seed_logreg"))),
);
// > quantizers in a float model: false
console.log(
  "in one that was trained with them:",
  hasAnyQnnLayers(importOnnx(await model("qat_mlp_w3a3"))),
);
// > in one that was trained with them: true

// One number of bits stands for four.
console.log(JSON.stringify(getNBitsDict(3)));
// > {"model_inputs":5,"op_weights":3,"op_inputs":3,"model_outputs":5}

const calibration = await readArray(`${folder}/calibration.npy`);
const images = await readArray(`${folder}/inputs.npy`);
const labels = await readArray(`${folder}/labels.npy`);
const compiled = await compileBrevitasQatModel(`${folder}/model.onnx`, calibration, {
  roundingThresholdBits: { nBits: 5, method: "approximate" },
});
const [input] = compiled.module.inputs;
console.log("bits of the input, as trained:", input.quantizer.options.nBits);
// > bits of the input, as trained: 3

const scores = compiled.forward(images);
const right = [...labels.data].filter((label, row) => label === bestOf(row)).length;
console.log("right in the clear:", `${Math.round((100 * right) / labels.data.length)} %`);
// > right in the clear: 93 %

function bestOf(row: number): number {
  const own = scores.data.slice(10 * row, 10 * row + 10);
  return own.indexOf(Math.max(...own));
}
