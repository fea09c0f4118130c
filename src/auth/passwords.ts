// Hashes and checks passwords: Argon2id, off the main thread, a bounded number at once. It knows no accounts, and no
// password or hash gets into an error.
import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { createWorkQueue } from './work-queue.ts'

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
   * Whether the password is that of the hash; false for a hash that can't be read. Without a hash (an unknown account)
   * it takes the time of a wrong password. Throws AppError `unavailable` where too many wait.
   */
  verify(password: string, hash: string | undefined): Promise<boolean>
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
    async hash(password) {
      const normal = normalizePassword(password)
      if (!isOfLength(normal, PASSWORD_LENGTH_MIN))
        throw new TypeError('Password must have 8 to 256 characters')
      return inTurn(() => Bun.password.hash(normal, ARGON2ID))
    },
    async verify(password, hash = dummy) {
      const normal = normalizePassword(password)
      if (!isOfLength(normal, 1)) return false
      // It throws on a hash of an unknown form; a stored hash that is damaged must not tell itself from a wrong password.
      return inTurn(() => Bun.password.verify(normal, hash).catch(() => false))
    },
  }
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
  const { memoryCost, timeCost } = ARGON2ID
  return `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=1$${text()}$${text()}`
}
