/**
 * Chooses where a client's engine runs. Safe in browsers.
 * @module
 */
import { SottoError, checkKeys } from "../errors.ts";
import type { ClientHost, ClientOptions } from "./async-client.ts";
import type { ClientEngine } from "./client.ts";
import { NativeHost } from "./native-host.ts";
import type { Platform } from "./platform.ts";
import { WorkerHost } from "./worker-host.ts";

/** Each worker has some tens of megabytes of its own. */
const MAX_WORKERS = 8;

/** A host for a client. Throws NATIVE_MISSING, BAD_ARGUMENT, and BAD_BYTES where the spec is not one. */
export async function openHost(
  spec: Uint8Array,
  platform: Platform,
  options: ClientOptions,
): Promise<ClientHost> {
  checkKeys(options, ["engine", "threads", "assets"]);
  const { engine = "auto", threads = 0, assets = {} } = options;
  if (!Number.isInteger(threads) || threads < 0 || threads > 1024) {
    throw new SottoError("BAD_ARGUMENT", "threads", `expected 0 to 1024, got ${String(threads)}`);
  }
  if (!["auto", "native", "wasm"].includes(engine)) {
    throw new SottoError("BAD_ARGUMENT", "engine", `expected auto, native or wasm, got ${engine}`);
  }
  const native = engine === "wasm" ? null : loadNative(platform, engine === "native");
  if (native !== null) return new NativeHost(spec, native, threads);
  const workers = Math.min(threads === 0 ? platform.cores : threads, MAX_WORKERS);
  const module = await platform.compileModule(assets);
  return WorkerHost.open({ platform, assets, module, spec, workers });
}

function loadNative({ loadNative }: Platform, isRequired: boolean): ClientEngine | null {
  try {
    if (loadNative !== undefined) return loadNative();
  } catch (error) {
    if (isRequired) throw error;
    return null;
  }
  if (!isRequired) return null;
  throw new SottoError(
    "NATIVE_MISSING",
    "engine",
    "there is no native engine here; use engine: wasm",
  );
}
