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
export { SottoError, type ErrorCode } from "../errors.ts";
