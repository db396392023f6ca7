/**
 * A linear regression, trained here, quantized and evaluated on encrypted inputs. It has no table: encryption costs almost
 * nothing, and the client divides the scale out of the answer.
 */
import { LinearRegression, toNested } from "sotto";

// Points near y = 1.6 x - 0.5.
const xs = Array.from({ length: 80 }, (_, i) => [-2 + i / 20]);
const ys = xs.map(([x], i) => 1.6 * x - 0.5 + 0.2 * Math.sin(37 * i));

const model = await LinearRegression.fit(xs, ys, {}, { nBits: 6 });
console.log("lookups:", model.compiled.circuit.statistics.tableLookups);
// > lookups: 0

// The quantized model in the clear: 6 bits are close to the line.
const predicted = model.predict(xs);
const off = xs.map(([x], i) => Math.abs(predicted.data[i] - (1.6 * x - 0.5)));
console.log("largest error of 6 bits below 0.2:", Math.max(...off) < 0.2);
// > largest error of 6 bits below 0.2: true

// The same on encrypted inputs: exactly the same answers.
const rows = [[-1], [0.5], [1.5]];
const encrypted = model.predict(rows, { fhe: "execute" });
const clear = model.predict(rows);
console.log(
  "as in the clear:",
  JSON.stringify(toNested(encrypted)) === JSON.stringify(toNested(clear)),
);
// > as in the clear: true
console.log("answers:", ...Array.from(encrypted.data, (y) => y.toFixed(1)));
// > answers: -2.1 0.3 1.9
