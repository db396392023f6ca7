/**
 * Which ONNX operators can be imported, and which of them have a quantized form of their own; the others are rewritten as
 * these, or belong to the client. docs/operators.md has their attributes.
 */
import { quantizedOperators, supportedOperators } from "sotto";

const direct = supportedOperators.filter((name) => quantizedOperators.has(name));
const others = supportedOperators.filter((name) => !quantizedOperators.has(name));
console.log("all quantized operators can be imported:", direct.length === quantizedOperators.size);
// > all quantized operators can be imported: true
console.log("Conv:", quantizedOperators.has("Conv"), "LSTM:", supportedOperators.includes("LSTM"));
// > Conv: true LSTM: false
console.log(
  "rewritten, for example:",
  others.filter((name) => /^L[a-z]+Norm|^Soft/.test(name)).join(" "),
);
// > rewritten, for example: LayerNormalization LpNormalization Softmax
