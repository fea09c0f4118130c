// Identifiers: UUIDv7 for records and users (sorted by time of making), and for requests.

/** A new UUIDv7 (RFC 9562), lower case. */
export function newUuid(): string {
  return Bun.randomUUIDv7()
}

/** A UUID of any version in lower case. */
export const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** The 16 bytes of a UUID. */
export function bytesOfUuid(uuid: string): Uint8Array {
  return Uint8Array.fromHex(uuid.replaceAll('-', ''))
}

/** The UUID of 16 bytes. */
export function uuidOfBytes(bytes: Uint8Array): string {
  return bytes.toHex().replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
