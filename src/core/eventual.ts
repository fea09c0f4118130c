// A value that is there at once or later. Waiting for what is there already costs a turn of the microtask queue, which
// is a tenth of a simple read: the path of every request goes on at once where it can.

export type Eventual<T> = T | Promise<T>

/** Goes on with the value: at once where it is there. */
export function proceed<T, R>(value: Eventual<T>, goOn: (value: T) => Eventual<R>): Eventual<R> {
  return value instanceof Promise ? value.then(goOn) : goOn(value)
}

/**
 * As `proceed`, where every request passes: `goOn` is made once and handed its state. A function that is made anew to
 * remember it costs two objects in memory that has long left the processor's cache.
 */
export function proceedWith<T, S, R>(
  value: Eventual<T>,
  state: S,
  goOn: (value: T, state: S) => Eventual<R>,
): Eventual<R> {
  return value instanceof Promise ? later(value, state, goOn) : goOn(value, state)
}

function later<T, S, R>(value: Promise<T>, state: S, goOn: (value: T, state: S) => Eventual<R>): Promise<R> {
  return value.then((known) => goOn(known, state))
}

/** Both ways of a promise, with their state. */
export function settle<T, S, R>(
  promise: Promise<T>,
  state: S,
  {
    fulfilled,
    rejected,
  }: { fulfilled: (value: T, state: S) => R; rejected: (reason: unknown, state: S) => R },
): Promise<R> {
  return promise.then(
    (value) => fulfilled(value, state),
    (reason: unknown) => rejected(reason, state),
  )
}
