/**
 * What both entries of `sotto/client` share. Safe in browsers.
 * @module
 */
export type { ClientOptions, KeygenOptions, KeyOptions } from "./async-client.ts";
export { Client as BlockingClient, type ClientEngine } from "./client.ts";
export { KeyStorage } from "./key-storage.ts";
export type { ClientAssets } from "./platform.ts";
export { RemoteServer } from "./remote.ts";
export type {
  FollowOptions,
  RemoteOptions,
  RemoteServerOptions,
  SubmitOptions,
  UploadOptions,
} from "./remote.ts";
export type { ErrorInfo, JobInfo, JobState, KeyInfo, ModelInfo } from "./remote-types.ts";
export { type WasmClientKey, type WasmEngine, createWasmEngine } from "./wasm.ts";
export { type ClientPort, type ClientSpec, decodeClientSpec } from "../format/client-spec.ts";
export { encodeClientSpec } from "../format/client-spec.ts";
export { SottoError, type ErrorCode } from "../errors.ts";
export type { Tensor, TensorLike } from "../tensor/tensor.ts";
