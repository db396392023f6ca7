/**
 * The client's half of sotto, without compiler or server: the entry of Node.js.
 * @module
 */
import { AsyncClient, type ClientOptions } from "./async-client.ts";
import { openHost } from "./open.ts";
import { nodePlatform } from "./platform-node.ts";

export * from "./exports.ts";

/** A client of one model, on the native engine or on WebAssembly. */
export class Client extends AsyncClient {
  /** Reads `client.sotto`. Throws BAD_BYTES, and NATIVE_MISSING where the engine is not built. */
  static async load(spec: Uint8Array, options: ClientOptions = {}): Promise<Client> {
    return new Client(spec, await openHost(spec, nodePlatform, options));
  }
}
