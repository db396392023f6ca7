/**
 * The client's half of sotto, without compiler or server.
 * @module
 */
export { Client, type ClientEngine } from "./client.ts";
export {
  type ClientPort,
  type ClientSpec,
  decodeClientSpec,
  encodeClientSpec,
} from "../format/client-spec.ts";
export {
  type FollowOptions,
  type RemoteOptions,
  RemoteServer,
  type RemoteServerOptions,
  type SubmitOptions,
  type UploadOptions,
} from "./remote.ts";
export type { ErrorInfo, JobInfo, JobState, KeyInfo, ModelInfo } from "./remote-types.ts";
export { SottoError, type ErrorCode } from "../errors.ts";
