/**
 * Long form of test/encrypted: many encrypted inferences against the clear integers. Slow (about ten minutes on two
 * cores). Usage: node bench/exactness.mjs [rows]
 */
import { fileURLToPath } from "node:url";
import { compileOnnxModel } from "../dist/index.js";
import { limitRows, readTensors } from "../dist/cli/model.js";

const CASES = [
  { model: "digits_mlp", options: { nBits: 4, roundingThresholdBits: 6 } },
  { model: "seed_logreg", options: { nBits: 2 } },
  { model: "seed_logreg", options: { nBits: 3 } },
];
const rows = Number(process.argv[2] ?? 50);

for (const { model, options } of CASES) {
  const file = (name) =>
    fileURLToPath(new URL(`../test/fixtures/${model}/${name}`, import.meta.url));
  const [calibration] = await readTensors([file("calibration.npy")]);
  const inputs = limitRows(await readTensors([file("inputs.npy")]), rows);
  const compiled = await compileOnnxModel(file("model.onnx"), calibration, options);
  compiled.circuit.keygen();
  const codes = compiled.quantizeInput(inputs[0]);
  const start = performance.now();
  const encrypted = compiled.quantizedForward(codes, { fhe: "execute" });
  const each = (performance.now() - start) / rows / 1000;
  const clear = compiled.quantizedForward(codes);
  const different = encrypted.data.filter((y, i) => y !== clear.data[i]).length;
  process.stdout.write(
    `${model} ${JSON.stringify(options)}: ${rows} encrypted inferences, ${different} of ` +
      `${clear.data.length} integers differ from the clear ones, ${each.toFixed(2)} s each\n`,
  );
}
