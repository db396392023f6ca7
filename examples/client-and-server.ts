/**
 * Deployment: the compiler leaves two files. The server runs from server.sotto, the client from client.sotto; only bytes go
 * between them, and the secret key stays with the client.
 */
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, Server, compileOnnxModel, loadEngine, readArray } from "sotto";

const folder = await mkdtemp(join(tmpdir(), "sotto-example-"));
const calibration = await readArray("test/fixtures/seed_logreg/calibration.npy");
const x = await readArray("test/fixtures/seed_logreg/inputs.npy");

// Development: compile once, keep the two files.
const compiled = await compileOnnxModel("test/fixtures/seed_logreg/model.onnx", calibration, {
  nBits: 3,
  artifacts: folder,
});
console.log(
  (await readdir(folder))
    .filter((name) => name.endsWith(".sotto"))
    .sort()
    .join(" "),
);
// > client.sotto server.sotto

// The client knows the spec, and makes the keys.
const engine = loadEngine();
const client = Client.load(await bytesOf("client.sotto"), engine);
client.generateKey();
const evaluationKeys = client.evaluationKeysSync(engine.newControl(0));

// The server knows the program, and gets keys that cannot decrypt.
const server = new Server(await bytesOf("server.sotto"), engine);
await server.loadKeys(evaluationKeys);

// One request.
const row = {
  dtype: "float32",
  shape: [1, 14],
  data: Float32Array.from(x.data.slice(0, 14)),
} as const;
const request = client.encrypt(client.quantize([row]));
const response = await server.run(request);
const [probability] = client.dequantize(client.decrypt(response));
console.log("as in the clear:", probability.data[0] === compiled.forward(row).data[0]);
// > as in the clear: true

await rm(folder, { recursive: true });

async function bytesOf(name: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(join(folder, name)));
}
