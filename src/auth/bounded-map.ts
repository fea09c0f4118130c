// A Map that can't grow without end, for caches that strangers fill. It knows nothing of what it holds.

/** Sets an entry; where the map holds `max` others already, the oldest of them goes. */
export function setBounded<K, V>(entries: Map<K, V>, [key, value]: readonly [K, V], max: number): void {
  if (entries.size >= max && !entries.has(key)) {
    for (const oldest of entries.keys()) {
      entries.delete(oldest)
      break
    }
  }
  entries.set(key, value)
}
