/**
 * Settings found by search: the front of accuracy against predicted time, a budget, and mixed precision by hand.
 */
import { compileOnnxModel, readArray, SottoError, tuneOnnxModel } from "sotto";

const model = "test/fixtures/act_relu/model.onnx";
const calibration = await readArray("test/fixtures/act_relu/calibration.npy");
const rows = await readArray("test/fixtures/act_relu/inputs.npy");

const {
  front,
  chosen,
  metric,
  rows: judged,
} = await tuneOnnxModel(model, calibration, {
  nBits: "auto",
  quantization: { perChannelWeights: true, biasCorrection: true }, // given, so not searched
  tuning: { rows, metric: "error", tolerance: 0.2, points: 8 }, // few points: this is an example
});
console.log("judged by", metric, "on", judged, "rows");
// > judged by error on 30 rows
const times = front.map(({ predictedMs }) => predictedMs);
console.log(
  "from cheap to dear:",
  times.every((ms, i) => i === 0 || ms > times[i - 1]),
);
// > from cheap to dear: true
console.log("chosen loses at most a fifth:", chosen !== null && chosen.loss <= 0.2);
// > chosen loses at most a fifth: true

const compiled = await compileOnnxModel(model, calibration, chosen?.options);
console.log("as predicted:", compiled.circuit.statistics.predictedMs === chosen?.predictedMs);
// > as predicted: true

try {
  await compileOnnxModel(model, calibration, { nBits: 4, maxLookups: 10 });
} catch (error) {
  if (error instanceof SottoError) console.log(error.code, "at", error.where);
}
// > NO_PARAMETERS at maxLookups

const mixed = await compileOnnxModel(model, calibration, {
  nBits: { op_weights: 4, op_inputs: 5, nodes: { "/fc2/Gemm": { op_weights: 2 } } },
  roundingThresholdBits: { nBits: 4, method: "fit" },
});
console.log("lookups:", mixed.circuit.statistics.tableLookups);
// > lookups: 16
