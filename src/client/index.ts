/**
 * The client's half of sotto, without compiler or server: the entry of browsers.
 *
 *     const client = await Client.load(await remote.clientSpec("digits"));
 *     await remote.uploadKeys(await client.keygen({ onProgress }));
 *     const scores = await client.decrypt(await remote.run("digits", await client.encrypt(pixels)));
 * @module
 */
import { AsyncClient, type ClientOptions } from "./async-client.ts";
import { openHost } from "./open.ts";
import { webPlatform } from "./platform-web.ts";

export * from "./exports.ts";

/** A client of one model; its secret key stays in a worker of this page. */
export class Client extends AsyncClient {
  /** Reads `client.sotto`. Throws BAD_BYTES, and NATIVE_MISSING where `sotto.wasm` cannot be had. */
  static async load(spec: Uint8Array, options: ClientOptions = {}): Promise<Client> {
    return new Client(spec, await openHost(spec, webPlatform, options));
  }
}
