/**
 * Browsers, and everything else with `fetch` and `Worker`. Safe in browsers.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { ClientAssets, Platform } from "./platform.ts";
import type { Answer } from "./worker-calls.ts";

export const webPlatform: Platform = {
  cores: globalThis.navigator?.hardwareConcurrency ?? 1,

  compileModule: async ({ module }: ClientAssets) => {
    const url = module ?? new URL("../../native/sotto.wasm", import.meta.url);
    const response = await fetch(url).catch(() => null);
    if (!response?.ok) {
      throw new SottoError(
        "NATIVE_MISSING",
        "engine",
        `cannot fetch ${String(url)} (${response === null ? "no answer" : `status ${response.status}`}); serve native/` +
          "sotto.wasm of the package there, or say where it is with the option assets.module",
      );
    }
    // Servers that do not know the type of the file prevent compilation while it arrives.
    return response.headers.get("content-type") === "application/wasm"
      ? WebAssembly.compileStreaming(response)
      : WebAssembly.compile(await response.arrayBuffer());
  },

  startWorker: ({ worker }, { onAnswer, onFailure }) => {
    // Bundlers look for this very expression.
    const thread =
      worker === undefined
        ? new Worker(new URL("./worker.js", import.meta.url), { type: "module" })
        : new Worker(worker, { type: "module" });
    thread.addEventListener("message", ({ data }: MessageEvent<Answer>) => onAnswer(data));
    thread.addEventListener("error", (event) => {
      event.preventDefault();
      onFailure(event.message || "the worker's script cannot be loaded");
    });
    return {
      send: (request, transfer) => thread.postMessage(request, [...transfer]),
      terminate: () => thread.terminate(),
      keepAlive: () => undefined,
    };
  },
};
