/**
 * Reads the files of a zip archive, which is what a `.npz` and a `.pt2` are. The standard library inflates and checks the CRC-32
 * that fflate leaves unchecked, so that a damaged archive is an error and not a different array.
 * Sizes in the archive are checked against the bytes that are there before anything is allocated.
 * @module
 */
import { crc32, inflateRawSync } from "node:zlib";
import { SottoError } from "../errors.ts";

/** One file of an archive, not yet unpacked. */
export interface ZipEntry {
  readonly name: string;
  /** Unpacks the file and checks its CRC-32. Throws BAD_BYTES. */
  readonly read: () => Uint8Array;
}

interface DirectoryEntry {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly packedSize: number;
  readonly size: number;
  readonly localOffset: number;
}

const END_SIGNATURE = 0x06054b50;
const DIRECTORY_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_SIZE = 22;
const MAX_COMMENT = 0xffff;
/** Deflate cannot pack tighter than this, so a larger claim is a lie. */
const MAX_RATIO = 1032;
/** All files of an archive together. */
const MAX_TOTAL = 2 ** 31;

/** The files of an archive in its own order; `where` names it in errors. Throws BAD_BYTES, as does reading a file. */
export function readZip(bytes: Uint8Array, where: string): ZipEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const damaged = (what: string) =>
    new SottoError("BAD_BYTES", where, `${what}; copy the file or save it again`);
  const guarded = <T>(run: () => T): T => {
    try {
      return run();
    } catch (error) {
      if (error instanceof RangeError) throw damaged("the archive is cut off");
      throw error;
    }
  };
  const directory = guarded(() => readDirectory(view, damaged));
  let total = 0;
  for (const entry of directory) total += entry.size;
  if (total > MAX_TOTAL) throw damaged("the archive unpacks to more than 2 GiB");
  return directory.map((entry) => ({
    name: entry.name,
    read: () => guarded(() => unpack(view, entry, damaged)),
  }));
}

function readDirectory(view: DataView, damaged: (what: string) => SottoError): DirectoryEntry[] {
  const end = findEnd(view);
  if (end === undefined) throw damaged("expected a zip archive, no zip directory in it");
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  const entries: DirectoryEntry[] = [];
  for (let i = 0; i < count; i++) {
    if (view.getUint32(at, true) !== DIRECTORY_SIGNATURE) throw damaged("damaged zip directory");
    if (view.getUint16(at + 8, true) & 1) throw damaged("encrypted zip files are not supported");
    const nameLength = view.getUint16(at + 28, true);
    const name = new Uint8Array(view.buffer, view.byteOffset + at + 46, nameLength);
    entries.push({
      name: new TextDecoder("utf-8").decode(name),
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packedSize: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      localOffset: view.getUint32(at + 42, true),
    });
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}

function findEnd(view: DataView): number | undefined {
  const last = view.byteLength - END_SIZE;
  for (let at = last; at >= Math.max(0, last - MAX_COMMENT); at--) {
    if (view.getUint32(at, true) === END_SIGNATURE) return at;
  }
  return undefined;
}

function unpack(
  view: DataView,
  entry: DirectoryEntry,
  damaged: (what: string) => SottoError,
): Uint8Array {
  const local = entry.localOffset;
  if (view.getUint32(local, true) !== LOCAL_SIGNATURE) throw damaged("damaged zip entry");
  const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  if (start + entry.packedSize > view.byteLength) throw damaged("the archive is cut off");
  if (entry.size > entry.packedSize * MAX_RATIO + 1024) throw damaged("impossible size in the zip");
  const packed = new Uint8Array(view.buffer, view.byteOffset + start, entry.packedSize);
  const bytes = inflate(packed, entry, damaged);
  if (bytes.length !== entry.size || crc32(bytes) !== entry.crc) {
    throw damaged("a file in the archive is damaged (its checksum differs)");
  }
  return bytes;
}

function inflate(
  packed: Uint8Array,
  entry: DirectoryEntry,
  damaged: (what: string) => SottoError,
): Uint8Array {
  if (entry.method === 0) return packed;
  if (entry.method !== 8) throw damaged(`unsupported zip method ${entry.method}`);
  try {
    return inflateRawSync(packed, { maxOutputLength: Math.max(1, entry.size) });
  } catch {
    throw damaged("a file in the archive is damaged (it does not unpack)");
  }
}
