/**
 * Entry of a worker in browsers, Deno and Bun.
 * @module
 */
import { type Request, createAnswerer } from "./worker-calls.ts";

/** What the global object of a worker has; the types of pages name other things. */
interface WorkerScope {
  postMessage(message: unknown, transfer: readonly Transferable[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent<Request>) => void): void;
}

const scope: WorkerScope = globalThis as WorkerScope;
const answerRequest = createAnswerer();
scope.addEventListener("message", ({ data }) => {
  const { answer, transfer } = answerRequest(data);
  scope.postMessage(answer, transfer);
});
