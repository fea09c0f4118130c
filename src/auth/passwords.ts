// Hashes and checks passwords: Argon2id, off the main thread, a bounded number at once. It knows no accounts, and no
// password or hash gets into an error.
import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { single, type MetricFamily } from '../core/metrics.ts'
import { createWorkQueue, type WorkQueue } from './work-queue.ts'

/** In code points of Normalization Form C. */
export const PASSWORD_LENGTH_MIN = 8
/** In code points of Normalization Form C; so a password is never over 1 KiB. */
export const PASSWORD_LENGTH_MAX = 256

export interface Passwords {
  /**
   * The hash to keep, with its parameters (PHC string). Throws TypeError where the length was not checked before,
   * AppError `unavailable` where too many wait.
   */
  hash(password: string): Promise<string>
  /**
   * Whether the password is that of the hash, which may also be one of another system: bcrypt ($2a$, $2b$, $2y$) or
   * Argon2 (PHC string) of other parameters. Without a hash (an unknown account), or with one that can't be read or
   * costs too much, it takes the time of a wrong password, and is false. Throws AppError `unavailable` where too many
   * wait.
   */
  verify(password: string, hash: string | undefined): Promise<boolean>
  /** How busy it is. */
  readonly metrics: readonly MetricFamily[]
}

export interface PasswordsOptions {
  /** Hashes at once. By default one core is left to serve requests, so that a storm of logins can't starve reads. */
  atOnce?: number
}

/** Hashes that wait for their turn: about three seconds of work for one core. */
export const PASSWORDS_WAITING_MAX = 64

// 1.7 times the memory that OWASP asks for at t=2, p=1 (19 MiB). It costs 50 ms of a core; 64 MiB would cost 117 ms,
// and its memory for each hash under way.
const ARGON2ID = { algorithm: 'argon2id', memoryCost: 32 * 1024, timeCost: 2 } as const
const PREFIX = `$argon2id$v=19$m=${ARGON2ID.memoryCost},t=${ARGON2ID.timeCost},p=1$`

/** Of a stored hash, in KiB; 64 MiB is what Argon2 libraries take by default. */
const MEMORY_MAX = 64 * 1024
/** Of a stored hash. A core computes 10 passes over 64 MiB in 0.8 s. */
const PASSES_MAX = 10
/** Of a stored hash, as its two digits. A core computes 2^14 rounds in 1.2 s. */
const BCRYPT_COST_MAX = '14'
/** bcrypt takes no more of a password; what made the hash cut it there, where Bun would digest it first. */
const BCRYPT_BYTES_MAX = 72

const ARGON2_HASH =
  /^\$argon2(?:id|i|d)\$v=19\$m=(\d{1,10}),t=(\d{1,10}),p=(?:\d|1[0-6])\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{16,}$/
const BCRYPT_HASH = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/

// In UTF-16 units, before normalizing. Decomposed, a character of a living script is at most four units, so nothing
// longer becomes 256 characters; and normalizing hostile text takes quadratic time (1 MiB: minutes), so it is left alone.
const UNITS_MAX = PASSWORD_LENGTH_MAX * 4

const DUMMY_BYTES = 32

export function createPasswords({
  atOnce = Math.max(1, availableParallelism() - 1),
}: PasswordsOptions = {}): Passwords {
  const inTurn = createWorkQueue({ atOnce, waitingMax: PASSWORDS_WAITING_MAX })
  const dummy = dummyHash()
  return {
    metrics: metricsOf(inTurn),
    async hash(password) {
      const normal = normalizePassword(password)
      if (!isOfLength(normal, PASSWORD_LENGTH_MIN))
        throw new TypeError('Password must have 8 to 256 characters')
      return inTurn(() => Bun.password.hash(normal, ARGON2ID))
    },
    async verify(password, hash) {
      const normal = normalizePassword(password)
      if (!isOfLength(normal, 1)) return false
      const usable = hash !== undefined && isUsable(hash) ? hash : dummy
      const input = BCRYPT_HASH.test(usable) ? Buffer.from(normal).subarray(0, BCRYPT_BYTES_MAX) : normal
      // It throws on a damaged hash, which must not tell itself from a wrong password.
      return inTurn(() => Bun.password.verify(input, usable).catch(() => false))
    },
  }
}

function metricsOf({ load }: WorkQueue): MetricFamily[] {
  return [
    single(
      { name: 'hipflask_argon2_running', help: 'Passwords that are hashed now', type: 'gauge' },
      () => load().running,
    ),
    single(
      { name: 'hipflask_argon2_waiting', help: 'Passwords that wait to be hashed', type: 'gauge' },
      () => load().waiting,
    ),
    single(
      {
        name: 'hipflask_argon2_refused_total',
        help: 'Passwords that were not looked at, since too many waited',
        type: 'counter',
      },
      () => load().refused,
    ),
  ]
}

/**
 * Whether a hash that verified this password has other parameters than a new one would have, stricter or looser. Of
 * what bcrypt cuts off nobody knows whether it is the user's password, so that it stays.
 */
export function needsRehash(hash: string, password: string): boolean {
  if (BCRYPT_HASH.test(hash) && Buffer.byteLength(normalizePassword(password)) > BCRYPT_BYTES_MAX)
    return false
  return !hash.startsWith(PREFIX)
}

/** A hash of a known form that costs about what one of ours does: a restored or imported one may ask for 4 GiB. */
function isUsable(hash: string): boolean {
  const [, memory, passes] = ARGON2_HASH.exec(hash) ?? []
  if (memory !== undefined) return Number(memory) <= MEMORY_MAX && Number(passes) <= PASSES_MAX
  const [, cost] = BCRYPT_HASH.exec(hash) ?? []
  return cost !== undefined && cost <= BCRYPT_COST_MAX
}

/** The form in which a password is measured and hashed (NFC), whatever keyboard it came from. */
export function normalizePassword(password: string): string {
  return password.length > UNITS_MAX ? password : password.normalize('NFC')
}

function isOfLength(password: string, min: number): boolean {
  const { length } = Array.from(password)
  return length >= min && length <= PASSWORD_LENGTH_MAX
}

/** A well-formed hash of no password at all, of the same cost as a real one. */
function dummyHash(): string {
  const text = () => randomBytes(DUMMY_BYTES).toString('base64').replaceAll('=', '')
  return `${PREFIX}${text()}$${text()}`
}
