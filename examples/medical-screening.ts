/**
 * A screening of breast tumours: trained here on 400 real cases, then run on encrypted measurements of cases that it has not
 * seen. The client holds the only key; the server computes the score and learns neither the measurements nor the diagnosis.
 */
import { readFile } from "node:fs/promises";
import { Client, LogisticRegression, Server, loadEngine } from "sotto";

// Ten measurements of a tumour's cells and the diagnosis, "benign" or "malignant" (UCI, Breast Cancer Wisconsin, CC BY 4.0).
const text = await readFile("test/fixtures/breast_cancer/data.csv", "utf8");
const [header, ...cases] = text
  .trim()
  .split("\n")
  .map((line) => line.split(","));
const x = cases.map((cells) => cells.slice(0, -1).map(Number));
const y = cases.map((cells) => cells[cells.length - 1]);
console.log(
  `${cases.length} cases, ${header.length - 1} measurements: ${header[0]}, ${header[1]}, …`,
);
// > 569 cases, 10 measurements: radius, texture, …

const model = await LogisticRegression.fit(x.slice(0, 400), y.slice(0, 400), { c: 100 });
console.log("classes:", ...model.classes);
// > classes: benign malignant

// Quantized to 8 bits, in the clear: all cases that were not trained on.
const unseen = x.slice(400);
const right = model.predict(unseen).filter((diagnosis, i) => diagnosis === y[400 + i]).length;
console.log("right:", right > 150 ? "more than 150" : right, "of", unseen.length);
// > right: more than 150 of 169

// Client and server as two programs: each gets its own bytes.
const client = Client.load(model.compiled.clientBytes, loadEngine());
const server = new Server(model.compiled.serverBytes, loadEngine());
client.generateKey();
server.loadKeysSync(client.evaluationKeysSync(loadEngine().newControl(0)));

const patient = { shape: [1, 10], data: Float64Array.from(unseen[0]) };
const encrypted = client.encrypt(client.quantize([{ dtype: "float64", ...patient }]));
const answer = server.runSync(encrypted);
const [label, probabilities] = client.dequantize(client.decrypt(answer));
const { strings = [] } = client.spec.after.outputs[0];
console.log("diagnosis:", strings[label.data[0]], "– the record says:", y[400]);
// > diagnosis: benign – the record says: benign
console.log("as in the clear:", strings[label.data[0]] === model.predict(patient)[0]);
// > as in the clear: true
console.log("probability of malignant below 0.5:", probabilities.data[1] < 0.5);
// > probability of malignant below 0.5: true
console.log("lookups:", model.compiled.circuit.statistics.tableLookups);
// > lookups: 0
