/**
 * The integers inside a quantized module, operator by operator; then the module is saved, loaded and compiled.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  buildQuantizedModule,
  compileModule,
  decodeQuantizedModule,
  encodeQuantizedModule,
  readArray,
} from "sotto";

const calibration = await readArray("test/fixtures/act_relu/calibration.npy");
const x = await readArray("test/fixtures/act_relu/inputs.npy");
const module = await buildQuantizedModule("test/fixtures/act_relu/model.onnx", calibration, {
  nBits: 3,
});

// Codes that each operator reads, and its sums before they become floats; a fused operator has none of its own.
const { outputs, values } = module.forward(x, { debug: true });
for (const [name, { opType, inputs, accumulator }] of values) {
  console.log(name, opType, "reads", ...inputs[0].data.slice(0, 5));
  console.log(name, opType, "leaves", ...(accumulator?.data.slice(0, 4) ?? []));
}
// > /fc1/Gemm Gemm reads 0 0 0 -1 0
// > /fc1/Gemm Gemm leaves -5 -1 -4 0
// > /fc2/Gemm Gemm reads 0 0 0 0 0
// > /fc2/Gemm Gemm leaves 7 -10 -6 15
console.log("answers:", outputs.shape.join(" x "));
// > answers: 60 x 4

// Saved with its quantizers and calibration rows, and loaded in another process, say.
const folder = await mkdtemp(join(tmpdir(), "sotto-example-"));
const path = join(folder, "module.sotto");
await writeFile(path, encodeQuantizedModule(module));
const loaded = decodeQuantizedModule(new Uint8Array(await readFile(path)));
const same = loaded.forward(x).data.every((value, i) => value === outputs.data[i]);
console.log("the loaded module answers the same:", same);
// > the loaded module answers the same: true
const [a, b] = [module, loaded].map((each) => compileModule(each).serverBytes);
console.log("and compiles to the same program:", Buffer.compare(a, b) === 0);
// > and compiles to the same program: true
await rm(folder, { recursive: true });
