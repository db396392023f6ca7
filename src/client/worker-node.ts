/**
 * Entry of a worker thread of Node.js.
 * @module
 */
import { parentPort } from "node:worker_threads";
import { type Request, createAnswerer } from "./worker-calls.ts";

const port = parentPort;
if (port === null) throw new Error("internal: this file runs in a worker thread only");
const answerRequest = createAnswerer();
port.on("message", (request: Request) => {
  const { answer, transfer } = answerRequest(request);
  port.postMessage(answer, transfer);
});
