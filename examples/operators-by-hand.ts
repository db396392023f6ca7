/**
 * A module built by hand from quantized operators: a linear layer, a ReLU6, a linear layer, a sigmoid.
 */
import {
  type Tensor,
  QuantizedArray,
  QuantizedLinear,
  QuantizedReLU6,
  QuantizedSigmoid,
  compileModule,
  float64,
  moduleFromOperators,
  quantizedOperators,
} from "sotto";

const wave = (shape: number[], step: number): Tensor =>
  float64(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => 2 * Math.sin(step * (i + 1))),
  );
const x = wave([100, 4], 0.7);

// One operator by itself: floats calibrate it, then it takes codes and gives codes.
const sigmoid = new QuantizedSigmoid({ nBits: 7 });
const floats = sigmoid.calibrate(x);
const codes = sigmoid.apply(new QuantizedArray(7, x));
const error = Math.max(...codes.dequant().data.map((y, i) => Math.abs(y - floats.data[i])));
console.log("sigmoid of 7 bits, largest error below 1 %:", error < 0.01);
// > sigmoid of 7 bits, largest error below 1 %: true

// An operand is null where values flow in, and a constant elsewhere: floats, or codes that you chose yourself.
const weights = new QuantizedArray(3, wave([3, 2], 1.1), { isSigned: true, isSymmetric: true });
const operators = [
  new QuantizedLinear({ nBits: 3, operands: [null, wave([4, 3], 1.3), wave([3], 0.4)] }),
  new QuantizedReLU6({ nBits: 3 }),
  new QuantizedLinear({ nBits: 3, operands: [null, weights] }),
  new QuantizedSigmoid({ nBits: 5 }),
];

// As a module they are calibrated together, run in the clear, and compile like an imported model.
const module = moduleFromOperators(operators, x);
const y = module.forward(x);
console.log("rows and outputs:", ...y.shape);
// > rows and outputs: 100 2
const compiled = compileModule(module);
console.log("lookups:", compiled.circuit.statistics.tableLookups);
// > lookups: 5
const row = { shape: [1, 4], data: x.data.slice(0, 4) };
const encrypted: Tensor = compiled.forward(row, { fhe: "execute" });
console.log(
  "encrypted as in the clear:",
  encrypted.data.every((value, i) => value === y.data[i]),
);
// > encrypted as in the clear: true
console.log("operators that can be used so:", quantizedOperators.size);
// > operators that can be used so: 99
