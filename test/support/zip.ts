/**
 * Writes zip archives with stored files, for tests that alter an archive.
 * @module
 */
import { crc32 } from "node:zlib";
import { readZip } from "../../src/files/zip.ts";

/** Files of an archive by name. */
export function unzip(bytes: Uint8Array): Map<string, Uint8Array> {
  return new Map(readZip(bytes, "archive").map(({ name, read }) => [name, read()]));
}

/** An archive of these files, in their order. */
export function zip(files: Iterable<readonly [string, Uint8Array]>): Uint8Array {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, bytes] of files) {
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt32LE(crc32(bytes), 14);
    local.writeUInt32LE(bytes.length, 18);
    local.writeUInt32LE(bytes.length, 22);
    local.writeUInt16LE(Buffer.byteLength(name), 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    local.copy(central, 16, 14, 28);
    central.writeUInt32LE(offset, 42);
    parts.push(local, Buffer.from(name), Buffer.from(bytes));
    directory.push(central, Buffer.from(name));
    offset += 30 + Buffer.byteLength(name) + bytes.length;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(directory.length / 2, 8);
  end.writeUInt16LE(directory.length / 2, 10);
  end.writeUInt32LE(length, 12);
  end.writeUInt32LE(offset, 16);
  return new Uint8Array(Buffer.concat([...parts, ...directory, end]));
}
