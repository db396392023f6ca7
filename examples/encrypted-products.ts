/**
 * Several encrypted inputs: a product of two, a product of matrices, and a model with two outputs.
 */
import {
  type Tensor,
  QuantizedAdd,
  QuantizedMatMul,
  QuantizedMul,
  compileModule,
  float64,
  moduleFromOperators,
} from "sotto";

const wave = (shape: number[], step: number): Tensor =>
  float64(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(step * (i + 1))),
  );

// Element by element: each product of two encrypted values is two lookups. What the sum asks of the inputs takes none.
const [a, b] = [wave([60, 2], 0.9), wave([60, 2], 0.31)];
const both = moduleFromOperators(
  {
    inputs: ["a", "b"],
    steps: [
      { operator: new QuantizedMul({ nBits: 3 }), inputs: ["a", "b"], output: "product" },
      { operator: new QuantizedAdd({ nBits: 3 }), inputs: ["a", "b"], output: "sum" },
    ],
    outputs: ["product", "sum"],
  },
  [a, b],
);
const compiled = compileModule(both);
const rows = [a, b].map((x) => float64([1, 2], x.data.slice(0, 2)));
report(compiled.forward<Tensor[]>(rows, { fhe: "execute" }), both.forward<Tensor[]>(rows));
// > 2 result(s), encrypted as in the clear: true
console.log("lookups:", compiled.circuit.statistics.tableLookups);
// > lookups: 4

// Matrices: every element of the result is a sum of products.
const [left, right] = [wave([60, 1, 2], 0.9), wave([60, 2, 1], 0.31)];
const operator = new QuantizedMatMul({ nBits: 2 });
const steps = [{ operator, inputs: ["left", "right"], output: "product" }];
const matrices = moduleFromOperators({ inputs: ["left", "right"], steps, outputs: ["product"] }, [
  left,
  right,
]);
const first = [
  float64([1, 1, 2], left.data.slice(0, 2)),
  float64([1, 2, 1], right.data.slice(0, 2)),
];
report([compileModule(matrices).forward(first, { fhe: "execute" })], [matrices.forward(first)]);
// > 1 result(s), encrypted as in the clear: true

function report(encrypted: readonly Tensor[], clear: readonly Tensor[]): void {
  const isSame = encrypted.every(({ data }, i) => data.every((x, k) => x === clear[i].data[k]));
  console.log(encrypted.length, "result(s), encrypted as in the clear:", isSame);
}
