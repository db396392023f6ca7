/**
 * sotto: compiles a trained model to a program that runs on encrypted inputs, and runs it.
 * @module
 */
export {
  buildQuantizedModule,
  compileBrevitasQatModel,
  compileGraph,
  compileModule,
  compileModuleAsync,
  compileOnnxModel,
  compileTorchModel,
  tuneOnnxModel,
  type QatCompileOptions,
} from "./compile.ts";
export { SottoError, type ErrorCode } from "./errors.ts";
export { readArray, readArrays, type NamedArray } from "./cli/read-array.ts";
export { Client } from "./client/client.ts";
export { FheCircuit, type KeygenOptions } from "./execute/circuit.ts";
export { CompiledModule, type FheMode, type ForwardOptions } from "./execute/module.ts";
export { Server } from "./execute/server.ts";
export type { SimulationOptions } from "./execute/simulate.ts";
export type { Statistics } from "./execute/statistics.ts";
export { decodeClientSpec, type ClientSpec } from "./format/client-spec.ts";
export { decodeQuantizedModule, encodeQuantizedModule } from "./format/module.ts";
export type { RunOptions } from "./native/control.ts";
export { loadEngine } from "./native/load.ts";
export { importGraph } from "./import.ts";
export { importOnnx } from "./onnx/import.ts";
export { evaluate } from "./onnx/evaluate.ts";
export { supportedOperators } from "./onnx/ops/index.ts";
export { decodeStrings, encodeStrings } from "./onnx/strings.ts";
export * from "./models/index.ts";
export type { CompileOptions } from "./options.ts";
export * from "./quantization/index.ts";
export type { Watch } from "./steps.ts";
export type { TuningPoint, TuningResult } from "./tune/front.ts";
export type { TuningOptions } from "./tune/options.ts";
export type { TunedOptions } from "./tune/space.ts";
export { convertToTensor, type Convertible } from "./tensor/convert.ts";
export { asTensor, toNested } from "./tensor/nested.ts";
export { float32, float64, int64, type Tensor, type TensorLike } from "./tensor/tensor.ts";
export { importTorch } from "./torch/import.ts";
