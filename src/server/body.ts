/**
 * Bodies of requests: read to an exact length, or told apart from those that broke off.
 * @module
 */
import type { Readable } from "node:stream";
import { SottoError } from "../errors.ts";
import { Refusal } from "./refusal.ts";

/** The chunks of a stream; one that ends before its time throws BAD_BYTES. */
export async function* brokenOff(stream: Readable): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) yield chunk;
  } catch {
    throw new SottoError("BAD_BYTES", "body", "the body broke off; send the rest again");
  }
}

/** Reads exactly so many bytes. Throws BAD_BYTES, with status 413 for more of them. */
export async function readExactly(stream: Readable, bytes: number): Promise<Uint8Array> {
  const body = new Uint8Array(bytes);
  let offset = 0;
  for await (const chunk of brokenOff(stream)) {
    if (offset + chunk.length > bytes) throw tooLarge(bytes);
    body.set(chunk, offset);
    offset += chunk.length;
  }
  if (offset !== bytes) {
    throw new SottoError("BAD_BYTES", "body", `expected ${bytes} bytes, got ${offset}`);
  }
  return body;
}

/** Refuses a body that says that it is too long before any of it is read. */
export function checkLength(stated: string | undefined, bytes: number): void {
  if (stated !== undefined && Number(stated) > bytes) throw tooLarge(bytes);
}

function tooLarge(bytes: number): Refusal {
  return new Refusal(
    new SottoError("BAD_BYTES", "body", `expected at most ${bytes} bytes, got more`),
    { status: 413 },
  );
}
