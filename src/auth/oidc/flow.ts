// What the browser keeps between the two ends of a sign-in at a provider: signed, so that it can't be made up, readable
// by no script, sent to no other route, good for ten minutes and one use. It is no session and signs nobody in.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { timestamp } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { UniqueError, type Store, type Table } from '../../storage/store.ts'
import type { FlowSecrets } from './provider.ts'

/** A sign-in under way. */
export interface Flow extends FlowSecrets {
  provider: string
  /** Where the browser goes in the end; without it the answer is JSON. */
  redirectTo?: string | undefined
  /** The user who links the identity, as of this session and generation of sessions; without one it signs in. */
  link?: { userId: string; sessionId: string | null; generation: number } | undefined
}

export interface Flows {
  /** The Set-Cookie of a sign-in that begins. */
  cookieOf(flow: Flow): string
  /**
   * The sign-in that this answer of a provider belongs to, which is used up by that. Throws AppError `bad_request`
   * where the cookie is not there, not ours, too old, of another provider or state, or was used before.
   */
  take(from: { provider: string; state: string | null; cookies: string | null }): Promise<Flow>
  /** The Set-Cookie that removes it. */
  removalOf(flow: Flow): string
}

export interface FlowsOptions {
  store: Store
  /** Signs the cookie; of all nodes the same. */
  secret: Uint8Array
  clock: Clock
  /** The public address is https. */
  isSecure: boolean
}

/** States that have been used, until their cookies are too old. */
export const usedStatesTable: Table = {
  name: '_hipflask_oidc_states',
  id: 'uuid',
  columns: [{ name: 'created_at', kind: 'text', nullable: false, index: true }],
}

export const FLOW_SECONDS = 600
const PATH = '/auth/oidc'
const COOKIE = 'hipflask_oidc_'
const COOKIES_LENGTH_MAX = 16 * 1024

export function createFlows({ store, secret, clock, isSecure }: FlowsOptions): Flows {
  const sign = (text: string) => createHmac('sha256', secret).update(text).digest()
  const attributes = `; Path=${PATH}; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`

  const read = (value: string): (Flow & { until: number }) | undefined => {
    const [payload = '', signature = ''] = value.split('.')
    const given = Buffer.from(signature, 'base64url')
    const expected = sign(payload)
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
    return JSON.parse(Buffer.from(payload, 'base64url').toString())
  }
  return {
    cookieOf(flow) {
      const until = clock() + FLOW_SECONDS * 1000
      const payload = Buffer.from(JSON.stringify({ ...flow, until })).toString('base64url')
      const value = `${payload}.${sign(payload).toString('base64url')}`
      return `${cookieName(flow.state)}=${value}; Max-Age=${FLOW_SECONDS}${attributes}`
    },
    async take({ provider, state, cookies }) {
      const value = state === null ? undefined : cookieValue(cookies, cookieName(state))
      const flow = value === undefined ? undefined : read(value)
      if (flow === undefined || flow.state !== state || flow.provider !== provider) throw badState()
      const now = clock()
      // A cookie from the future is of before the clock was set back.
      if (flow.until <= now || flow.until > now + FLOW_SECONDS * 1000) throw badState()
      await useUp(store, state, now)
      return flow
    },
    removalOf: (flow) => `${cookieName(flow.state)}=; Max-Age=0${attributes}`,
  }
}

/**
 * One cookie of sixteen: two tabs rarely disturb each other, and sign-ins that nobody ends do not fill the headers of the
 * browser until no request of it is taken any more.
 */
function cookieName(state: string): string {
  return COOKIE + createHash('sha256').update(state).digest('hex').slice(0, 1)
}

function digestOf(state: string): string {
  return createHash('sha256').update(state).digest('base64url')
}

function cookieValue(cookies: string | null, name: string): string | undefined {
  if (cookies === null || cookies.length > COOKIES_LENGTH_MAX) return undefined
  const values = cookies.split(';').flatMap((cookie) => {
    const at = cookie.indexOf('=')
    return at !== -1 && cookie.slice(0, at).trim() === name ? [cookie.slice(at + 1).trim()] : []
  })
  // Two of one name: somebody else's site of the same domain set one.
  return values.length === 1 ? values[0] : undefined
}

async function useUp(store: Store, state: string, now: number): Promise<void> {
  const values = { created_at: timestamp(now) }
  try {
    await store.commit([{ kind: 'insert', table: usedStatesTable.name, id: digestOf(state), values }])
  } catch (error) {
    throw error instanceof UniqueError ? badState() : error
  }
}

function badState(): AppError {
  return new AppError('bad_request', { message: 'Sign-in is not under way in this browser, begin it again' })
}
