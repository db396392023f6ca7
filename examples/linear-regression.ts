/**
 * A linear regression, fitted here, quantized and evaluated on encrypted inputs. It has no table: encryption costs almost
 * nothing, and the client divides the scale out of the answer.
 */
import {
  type Tensor,
  QuantizedLinear,
  compileModule,
  float64,
  moduleFromOperators,
  toNested,
} from "sotto";

// Points near y = 1.6 x - 0.5, and the least squares line through them.
const xs = Array.from({ length: 80 }, (_, i) => -2 + i / 20);
const ys = xs.map((x, i) => 1.6 * x - 0.5 + 0.2 * Math.sin(37 * i));
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const [meanX, meanY] = [mean(xs), mean(ys)];
const slope =
  mean(xs.map((x, i) => (x - meanX) * (ys[i] - meanY))) / mean(xs.map((x) => (x - meanX) ** 2));
const intercept = meanY - slope * meanX;
console.log(`fitted: ${slope.toFixed(1)} x - ${(-intercept).toFixed(1)}`);
// > fitted: 1.6 x - 0.5

const line = new QuantizedLinear({
  nBits: 6,
  operands: [null, float64([1, 1], [slope]), float64([1], [intercept])],
});
const x = float64([80, 1], xs);
const module = moduleFromOperators([line], x);
const predicted = module.forward(x);
const off = predicted.data.map((y, i) => Math.abs(y - (slope * xs[i] + intercept)));
console.log("largest error of 6 bits below 0.06:", Math.max(...off) < 0.06);
// > largest error of 6 bits below 0.06: true

const compiled = compileModule(module);
const rows = { shape: [3, 1], data: Float64Array.from([-1, 0.5, 1.5]) };
const encrypted: Tensor = compiled.forward(rows, { fhe: "execute" });
console.log("lookups:", compiled.circuit.statistics.tableLookups);
// > lookups: 0
console.log(
  "encrypted as in the clear:",
  JSON.stringify(toNested(encrypted)) === JSON.stringify(toNested(module.forward(rows))),
);
// > encrypted as in the clear: true
console.log("answers:", ...[...encrypted.data].map((y) => y.toFixed(1)));
// > answers: -2.1 0.3 1.9
