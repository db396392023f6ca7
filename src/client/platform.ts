/**
 * What a client needs from where it runs: WebAssembly, workers, and in Node.js the native engine. Safe in browsers.
 * @module
 */
import type { ClientEngine } from "./client.ts";
import type { Answer, Request } from "./worker-calls.ts";

/** A worker that runs `worker.ts` or `worker-node.ts`. */
export interface WorkerPort {
  send(request: Request, transfer: readonly ArrayBuffer[]): void;
  /** Ends the worker at once. */
  terminate(): void;
  /** Whether the process must wait for this worker; does nothing in browsers. */
  keepAlive(isBusy: boolean): void;
}

export interface WorkerListener {
  readonly onAnswer: (answer: Answer) => void;
  /** The worker broke down or could not start. */
  readonly onFailure: (text: string) => void;
}

/** Where a client's files are, for pages whose bundler moves them. */
export interface ClientAssets {
  /** `sotto.wasm`. Default: beside the package. */
  readonly module?: string | URL;
  /** The bundled `sotto/client/worker`. Default: beside the client. */
  readonly worker?: string | URL;
}

export interface Platform {
  /** Processor cores. */
  readonly cores: number;
  /** Compiles the module. Throws NATIVE_MISSING where it is not there. */
  compileModule(assets: ClientAssets): Promise<WebAssembly.Module>;
  startWorker(assets: ClientAssets, listener: WorkerListener): WorkerPort;
  /** The native engine. Throws NATIVE_MISSING. */
  readonly loadNative?: () => ClientEngine;
}
