// One log line for each security event, for whoever has to find out later what happened. It never gets a credential,
// nor an e-mail that somebody typed: a password is typed there by mistake.
import type { Logger } from '../core/logger.ts'
import type { MetricFamily } from '../core/metrics.ts'

export type SecurityEvent =
  | 'account.registered'
  | 'account.created'
  | 'account.changed'
  | 'account.disabled'
  | 'account.enabled'
  | 'account.deleted'
  | 'login.succeeded'
  | 'login.failed'
  | 'login.limited'
  | 'password.changed'
  | 'password.rehashed'
  | 'email.changed'
  | 'role.changed'
  | 'session.refreshed'
  | 'session.ended'
  | 'sessions.ended'
  | 'refresh.reused'
  | 'token.revoked'
  | 'credential.refused'
  | 'key.created'
  | 'key.revoked'
  | 'keys.rotated'
  | 'identity.linked'
  | 'identity.removed'

export interface AuditFields {
  /** Whose account, session or key it is. */
  user_id?: string | undefined
  /** Who did it, where that is somebody else. */
  by_user_id?: string | undefined
  session_id?: string | undefined
  key_id?: string | undefined
  /** The client's address. */
  ip?: string | undefined
  /** `password`, `basic`, `client_credentials`, … */
  method?: string | undefined
  /** Why it failed, for the log alone: `unknown account`, `wrong password`, … */
  reason?: string | undefined
  role?: string | undefined
}

export type Audit = (event: SecurityEvent, fields: AuditFields) => void

const MESSAGES: Readonly<Record<SecurityEvent, string>> = {
  'account.registered': 'An account was registered',
  'account.created': 'An account was made',
  'account.changed': 'An account was changed',
  'account.disabled': 'An account was disabled',
  'account.enabled': 'An account was enabled',
  'account.deleted': 'An account was deleted',
  'login.succeeded': 'Somebody signed in',
  'login.failed': 'A sign-in failed',
  'login.limited': 'A sign-in was refused after too many failures',
  'password.changed': 'A password was changed',
  'password.rehashed': 'A password was hashed anew with the parameters of today',
  'email.changed': 'The e-mail of an account was changed',
  'role.changed': 'The role of an account was changed',
  'session.refreshed': 'A session was refreshed',
  'session.ended': 'A session was ended',
  'sessions.ended': 'Sessions of an account were ended',
  'refresh.reused': 'A spent refresh token was used again, its session was ended',
  'token.revoked': 'A token was revoked',
  'credential.refused': 'A token or key was refused',
  'key.created': 'An API key was made',
  'key.revoked': 'An API key was revoked',
  'keys.rotated': 'A new signing key was made',
  'identity.linked': 'An identity of another issuer was linked to an account',
  'identity.removed': 'An identity of another issuer was taken from an account',
}

/** What an attack looks like is a warning, everything else is information. */
const WARNINGS: ReadonlySet<SecurityEvent> = new Set([
  'login.failed',
  'login.limited',
  'refresh.reused',
  'credential.refused',
])

export function createAudit(logger: Logger): Audit {
  return (event, fields) => {
    const level = WARNINGS.has(event) ? 'warn' : 'info'
    logger[level](MESSAGES[event], { event, ...fields })
  }
}

/** Counts what it is told of, and hands it on. Events that did not happen are there too, as 0. */
export function countEvents(audit: Audit): { audit: Audit; metrics: readonly MetricFamily[] } {
  const counts = new Map<string, number>(Object.keys(MESSAGES).map((event) => [event, 0]))
  const family: MetricFamily = {
    name: 'hipflask_auth_events_total',
    help: 'Security events, by what happened',
    type: 'counter',
    read: () => Array.from(counts, ([event, value]) => ({ labels: { event }, value })),
  }
  return {
    metrics: [family],
    audit: (event, fields) => {
      counts.set(event, (counts.get(event) ?? 0) + 1)
      audit(event, fields)
    },
  }
}
