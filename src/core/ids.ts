// Identifiers: UUIDv7 for records and users (sorted by time of making), and for requests.

/** A new UUIDv7 (RFC 9562), lower case. */
export function newUuid(): string {
  return Bun.randomUUIDv7()
}

/** A UUID of any version in lower case. */
export const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
