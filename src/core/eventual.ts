// A value that is there at once or later. Waiting for what is there already costs a turn of the microtask queue, which
// is a tenth of a simple read: the path of every request goes on at once where it can.

export type Eventual<T> = T | Promise<T>

/** Goes on with the value: at once where it is there. */
export function proceed<T, R>(value: Eventual<T>, goOn: (value: T) => Eventual<R>): Eventual<R> {
  return value instanceof Promise ? value.then(goOn) : goOn(value)
}
