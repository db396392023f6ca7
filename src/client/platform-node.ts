/**
 * Node.js, and Deno and Bun where they take Node's entry of the package.
 * @module
 */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { SottoError } from "../errors.ts";
import { loadEngine } from "../native/load.ts";
import type { Platform } from "./platform.ts";
import type { Answer } from "./worker-calls.ts";

/** From `src` too: Node runs workers only from JavaScript. */
const WORKER = new URL("../../dist/client/worker-node.js", import.meta.url);
const MODULE = new URL("../../native/sotto.wasm", import.meta.url);

export const nodePlatform: Platform = {
  cores: availableParallelism(),

  compileModule: async ({ module }) => {
    const url = module ?? MODULE;
    const bytes = await readFile(url).catch(() => null);
    if (bytes === null) {
      throw new SottoError(
        "NATIVE_MISSING",
        "engine",
        `cannot read ${String(url)}; run \`npm run setup\` in the package's folder, which says what it needs`,
      );
    }
    return WebAssembly.compile(bytes);
  },

  startWorker: ({ worker }, { onAnswer, onFailure }) => {
    const thread = new Worker(worker ?? WORKER);
    thread.on("message", (answer: Answer) => onAnswer(answer));
    thread.on("error", (error) => onFailure(error.message));
    thread.unref();
    return {
      send: (request, transfer) => thread.postMessage(request, transfer),
      terminate: () => void thread.terminate(),
      keepAlive: (isBusy) => (isBusy ? thread.ref() : thread.unref()),
    };
  },

  loadNative: loadEngine,
};
