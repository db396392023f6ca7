/**
 * `npm run demo:web` without the set-up: its models, compiled and served by a process of its own.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const DEMO = fileURLToPath(new URL("../../demo/web.mjs", import.meta.url));

export interface WebDemo {
  /** Address of the pages, without a slash at the end. */
  readonly url: string;
  /** Folder of a compiled model: `server.sotto`, `client.sotto`. */
  readonly modelFolder: (name: string) => string;
  close(): Promise<void>;
}

export async function startWebDemo(): Promise<WebDemo> {
  const folder = await mkdtemp(join(tmpdir(), "sotto-web-"));
  const child = spawn(process.execPath, [DEMO, "--port", "0", "--folder", folder], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = await addressOf(child);
  return {
    url,
    modelFolder: (name) => join(folder, name),
    close: async () => {
      child.kill("SIGTERM");
      await exited;
      await rm(folder, { recursive: true });
    },
  };
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = "";
    const onText = (text: string): void => {
      output += text;
      const [, url] = /^open (http:\S+) /m.exec(output) ?? [];
      if (url !== undefined) resolve(url);
    };
    child.stdout?.setEncoding("utf8").on("data", onText);
    child.stderr?.setEncoding("utf8").on("data", onText);
    child.once("exit", () => reject(new Error(`the demo ended: ${output}`)));
  });
}
