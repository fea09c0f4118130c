// Runs the functions of resource files. What they mean for the client goes to the client; all else that they throw is
// the author's mistake, and answers 500 with its cause in the log.
import { AppError, type ErrorCode } from '../core/errors.ts'
import { pointerTo } from '../http/json.ts'
import { Problem, type FieldProblem, type ProblemStatus } from '../sdk.ts'

/** How long a hook may take. */
export const HOOK_TIMEOUT_MS = 5_000

const PROBLEM_CODES: Readonly<Record<ProblemStatus, ErrorCode>> = {
  400: 'bad_request',
  401: 'unauthenticated',
  402: 'payment_required',
  403: 'forbidden',
  404: 'not_found',
  409: 'conflict',
  410: 'gone',
  422: 'unprocessable',
  429: 'rate_limited',
  503: 'unavailable',
}

/** What `problem` may answer, for the document. */
export const problemCodes: readonly ErrorCode[] = Object.values(PROBLEM_CODES)

/**
 * What a hook gives; its label names it in the log. Throws AppError for a `problem` of the author's and where the
 * database is not available, else Error with the cause.
 */
export async function runHook<T>(label: string, hook: () => T): Promise<Awaited<T>> {
  try {
    const result = hook()
    return await (result instanceof Promise ? inTime(result) : result)
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === 'unavailable') throw thrown
    throw clientError(thrown) ?? authorError(label, thrown)
  }
}

/** What the handler of a route gives. The errors of the store go to the client as they are: the route is its client. */
export async function runHandler<T>(label: string, handler: () => T): Promise<Awaited<T>> {
  try {
    return await handler()
  } catch (thrown) {
    throw thrown instanceof AppError ? thrown : (clientError(thrown) ?? authorError(label, thrown))
  }
}

/** A pointer for a field that the author named. */
export function pointerOf(field: string): string {
  return field.startsWith('/') ? field : pointerTo('', field)
}

function clientError(thrown: unknown): AppError | undefined {
  if (!(thrown instanceof Problem)) return undefined
  const code = Object.hasOwn(PROBLEM_CODES, thrown.status) ? PROBLEM_CODES[thrown.status] : undefined
  if (code === undefined) return undefined
  const details = thrown.details.map(({ field, message }: FieldProblem) => ({
    field: pointerOf(field),
    message,
  }))
  const wait = thrown.status === 429 || thrown.status === 503 ? { headers: { 'retry-after': '1' } } : {}
  return new AppError(code, { message: thrown.message, details, ...wait })
}

function authorError(label: string, cause: unknown): Error {
  const details = cause instanceof AppError ? cause.details : []
  const faults = details.map(({ field, message }) => ` ${field} ${message}`)
  return new Error(`${label} failed${faults.length > 0 ? `:${faults.join(';')}` : ''}`, { cause })
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Error(`It took more than ${HOOK_TIMEOUT_MS / 1000} s`)),
    HOOK_TIMEOUT_MS,
  )
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
