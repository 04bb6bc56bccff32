/** Makes zip files for tests, also damaged ones: the parts of the format that the reader must check can each be set wrong. */
import { crc32, deflateRawSync } from "node:zlib";

export interface ZipEntry {
  readonly name: string;
  readonly content: Buffer;
  readonly stored?: boolean;
  /** Lies for the directory: what it claims instead of the truth. */
  readonly claim?: Partial<Record<"bytes" | "compressedBytes" | "crc" | "method" | "flags" | "headerOffset", number>>;
  /** The name in the local header, if another than the directory's. */
  readonly localName?: string;
}

export function makeZip(entries: readonly ZipEntry[], comment = ""): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content, stored = false, claim = {}, localName = name } of entries) {
    const data = stored ? content : deflateRawSync(content);
    const fields = {
      flags: 0,
      method: stored ? 0 : 8,
      crc: crc32(content),
      compressedBytes: data.length,
      bytes: content.length,
      headerOffset: offset,
      ...claim,
    };
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(20, 4);
    common(local, 6, fields, Buffer.byteLength(localName));
    locals.push(local, Buffer.from(localName), data);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(20, 4);
    central.writeUInt16LE(20, 6);
    common(central, 8, fields, Buffer.byteLength(name));
    central.writeUInt32LE(fields.headerOffset, 42);
    directory.push(central, Buffer.from(name));
    offset += local.length + Buffer.byteLength(localName) + data.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  end.writeUInt16LE(Buffer.byteLength(comment), 20);
  return Buffer.concat([...locals, central, end, Buffer.from(comment)]);
}

type Fields = Record<"flags" | "method" | "crc" | "compressedBytes" | "bytes", number>;

/** The run of fields that local header and directory share. */
function common(into: Buffer, at: number, fields: Fields, nameBytes: number): void {
  into.writeUInt16LE(fields.flags, at);
  into.writeUInt16LE(fields.method, at + 2);
  into.writeUInt32LE(fields.crc, at + 8);
  into.writeUInt32LE(fields.compressedBytes, at + 12);
  into.writeUInt32LE(fields.bytes, at + 16);
  into.writeUInt16LE(nameBytes, at + 20);
}
