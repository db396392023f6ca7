/**
 * Numbers as people read them.
 * @module
 */

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export function formatTime(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / 60_000)} min`;
}

/** Bytes in hexadecimal, in groups of four. */
export function formatHex(bytes: Uint8Array): string {
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/.{8}(?!$)/g, "$& ");
}

/** What an error means to the person at the page. */
export function describeError(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.startsWith("internal:") ? `Something is wrong in this page (${text})` : text;
}
