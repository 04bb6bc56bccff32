/**
 * Reads one member of a zip file (a Python wheel is one) as a stream, without unpacking anything else and without trust:
 * every offset and length is checked against the file, the size against a limit that the caller gives, the content
 * against its CRC-32. Names inside the archive are only compared, never used as paths.
 * Source of the layout: PKWARE APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (end).
 */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { crc32, createInflateRaw } from "node:zlib";

/** The archive is damaged, hostile, or uses a feature that wheels do not need. Names the file and the member. */
export class ZipError extends Error {
  override readonly name = "ZipError";
}

interface Member {
  readonly method: number;
  readonly crc: number;
  readonly compressedBytes: number;
  readonly bytes: number;
  readonly headerOffset: number;
  readonly name: Buffer;
}

const endBytes = 22;
const maxDirectoryBytes = 16 * 1024 * 1024;

/**
 * Yields the content of `member` in pieces. Throws ZipError if the archive is not sound, has no such member (or two), the
 * member is encrypted or larger than `maxBytes`, or its content is not what the directory says. Consumers must not trust
 * the pieces before the generator has ended.
 */
export async function* readZipMember(path: string, member: string, maxBytes: number): AsyncGenerator<Buffer> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const directory = await readDirectory(file, size, path);
    const found = findMember(directory.entries, member, path);
    if (found.bytes > maxBytes) {
      throw new ZipError(`${path}: ${member} claims ${found.bytes} bytes where at most ${maxBytes} are expected`);
    }
    const start = await dataOffset(file, found, directory.offset, `${path}: ${member}`);
    yield* content(path, found, start, `${path}: ${member}`);
  } finally {
    await file.close();
  }
}

async function readDirectory(file: FileHandle, size: number, path: string): Promise<{ entries: Buffer; offset: number }> {
  if (size < endBytes) throw new ZipError(`${path}: not a zip file (${size} bytes)`);
  const tail = await readAt(file, Math.max(0, size - endBytes - 0xffff), Math.min(size, endBytes + 0xffff), path);
  let end = tail.length - endBytes;
  // The end record is the last one whose comment reaches exactly to the end of the file.
  while (end >= 0 && !(tail.readUInt32LE(end) === 0x06054b50 && end + endBytes + tail.readUInt16LE(end + 20) === tail.length))
    end--;
  if (end < 0) throw new ZipError(`${path}: no end of a zip directory found; the file is cut off or not a zip file`);
  const bytes = tail.readUInt32LE(end + 12);
  const offset = tail.readUInt32LE(end + 16);
  if (offset === 0xffffffff || bytes === 0xffffffff) throw new ZipError(`${path}: zip files above 4 GB are not read`);
  if (bytes > maxDirectoryBytes) throw new ZipError(`${path}: a zip directory of ${bytes} bytes is refused`);
  if (offset + bytes > size - endBytes) throw new ZipError(`${path}: the zip directory lies outside of the file`);
  return { entries: await readAt(file, offset, bytes, path), offset };
}

function findMember(entries: Buffer, name: string, path: string): Member {
  const wanted = Buffer.from(name, "utf8");
  let found: Member | null = null;
  for (let at = 0; at < entries.length;) {
    if (at + 46 > entries.length || entries.readUInt32LE(at) !== 0x02014b50) {
      throw new ZipError(`${path}: the zip directory is damaged at byte ${at}`);
    }
    const nameBytes = entries.readUInt16LE(at + 28);
    const next = at + 46 + nameBytes + entries.readUInt16LE(at + 30) + entries.readUInt16LE(at + 32);
    if (next > entries.length) throw new ZipError(`${path}: the zip directory is damaged at byte ${at}`);
    if (entries.subarray(at + 46, at + 46 + nameBytes).equals(wanted)) {
      if (found !== null) throw new ZipError(`${path}: ${name} is in the archive twice`);
      const flags = entries.readUInt16LE(at + 8);
      const method = entries.readUInt16LE(at + 10);
      if (flags & 1) throw new ZipError(`${path}: ${name} is encrypted`);
      if (method !== 0 && method !== 8)
        throw new ZipError(`${path}: ${name} uses compression method ${method}; only deflate is read`);
      found = {
        method,
        crc: entries.readUInt32LE(at + 16),
        compressedBytes: entries.readUInt32LE(at + 20),
        bytes: entries.readUInt32LE(at + 24),
        headerOffset: entries.readUInt32LE(at + 42),
        name: wanted,
      };
    }
    at = next;
  }
  if (found === null) throw new ZipError(`${path}: has no member ${name}`);
  return found;
}

async function dataOffset(file: FileHandle, member: Member, limit: number, label: string): Promise<number> {
  if (member.headerOffset + 30 + member.name.length > limit) throw new ZipError(`${label}: its header lies outside of the file`);
  const header = await readAt(file, member.headerOffset, 30 + member.name.length, label);
  if (header.readUInt32LE(0) !== 0x04034b50 || !header.subarray(30).equals(member.name)) {
    throw new ZipError(`${label}: its header does not agree with the directory`);
  }
  const start = member.headerOffset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  if (header.readUInt16LE(26) !== member.name.length || start + member.compressedBytes > limit) {
    throw new ZipError(`${label}: its content lies outside of the file`);
  }
  return start;
}

async function* content(path: string, member: Member, start: number, label: string): AsyncGenerator<Buffer> {
  if (member.compressedBytes === 0) {
    if (member.bytes !== 0 || member.method !== 0)
      throw new ZipError(`${label}: is empty where ${member.bytes} bytes are expected`);
    return;
  }
  const raw = createReadStream(path, { start, end: start + member.compressedBytes - 1, highWaterMark: 1 << 18 });
  const plain = member.method === 0 ? raw : raw.pipe(createInflateRaw({ chunkSize: 1 << 18 }));
  if (plain !== raw) raw.once("error", (error) => plain.destroy(error));
  let bytes = 0;
  let crc = 0;
  try {
    for await (const piece of plain) {
      const buffer = piece as Buffer;
      bytes += buffer.length;
      // A bomb is stopped at its first byte too many, whatever the directory claimed.
      if (bytes > member.bytes) throw new ZipError(`${label}: unpacks to more than the ${member.bytes} bytes that it claims`);
      crc = crc32(buffer, crc);
      yield buffer;
    }
  } catch (error) {
    if (error instanceof ZipError) throw error;
    throw new ZipError(`${label}: its compressed content is damaged (${error instanceof Error ? error.message : String(error)})`);
  } finally {
    raw.destroy();
    plain.destroy();
  }
  if (bytes !== member.bytes) throw new ZipError(`${label}: unpacks to ${bytes} bytes where ${member.bytes} are claimed`);
  if (crc !== member.crc) throw new ZipError(`${label}: its content does not have its CRC-32; the file is damaged`);
}

async function readAt(file: FileHandle, position: number, length: number, label: string): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done);
    if (bytesRead === 0) throw new ZipError(`${label}: the file ends early`);
    done += bytesRead;
  }
  return buffer;
}
