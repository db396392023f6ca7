/**
 * Writing that survives a crash: bytes are on the disk, under their final name, before a promise resolves. A file is seen
 * whole or not at all. A full disk is STORAGE_FULL and leaves nothing behind.
 * @module
 */
import { type FileHandle, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { SottoError } from "../errors.ts";

/** What a file system says where there is no room: disk, quota, limit of a file's size. */
const FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** Files that are being written end so; a start deletes them. */
export const TEMPORARY_SUFFIX = ".tmp";

/** Creates or replaces a file. */
export async function writeDurably(path: string, data: Uint8Array | string): Promise<void> {
  const temporary = path + TEMPORARY_SUFFIX;
  try {
    const file = await open(temporary, "w", 0o600);
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw asStorageError(error);
  }
  await syncFolder(dirname(path));
}

/** Renames a file whose bytes are on the disk already. */
export async function moveDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncFolder(dirname(to));
}

/** Reads a record that was written as JSON. Throws BAD_BYTES where the disk has damaged it. */
export async function readRecord<T>(path: string): Promise<T> {
  const text = await readFile(path, "utf8");
  try {
    return JSON.parse(text) as T;
  } catch {
    const message = "the record is damaged; restore it from a backup, or delete it";
    throw new SottoError("BAD_BYTES", path, message);
  }
}

/** Deletes files, those that exist. */
export async function deleteDurably(folder: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true });
  await syncFolder(folder);
}

/** Creates a folder that only its owner may read, and those above it. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw asStorageError(error);
  }
  await syncFolder(dirname(path));
}

/** Writes all bytes at a position of an open file. */
export async function writeAt(file: FileHandle, data: Uint8Array, position: number): Promise<void> {
  let written = 0;
  try {
    while (written < data.length) {
      const { bytesWritten } = await file.write(
        data,
        written,
        data.length - written,
        position + written,
      );
      written += bytesWritten;
    }
  } catch (error) {
    throw asStorageError(error);
  }
}

/** Names in a folder are on the disk only after the folder itself is. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return; // folders cannot be opened there
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** An error of the file system as one that a client can be told, where it is one. */
export function asStorageError(error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (!FULL.has(code)) return error;
  return new SottoError(
    "STORAGE_FULL",
    "storage",
    "the server has no room left and accepted nothing; try again later",
  );
}
