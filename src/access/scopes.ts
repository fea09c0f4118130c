// Scopes: how far a key or an outside token reaches beyond an anonymous caller. Pure; what the caller may do within them
// is for the rules to say (authorize.ts).
import { ANONYMOUS, type Principal } from './principal.ts'

/** Whatever its owner may do. */
export const EVERY_SCOPE = '*'
/** What a route needs that every credential may call. No credential can be given it. */
export const ANY_SCOPE = 'any'
export const METRICS_SCOPE = 'metrics:read'

const USERS = 'users'

/** What listing and reading the records of a resource needs. */
export function readScope(resource: string): string {
  return `${resource}:read`
}

/** What every change of a resource's records needs. It does not include the reading of others. */
export function writeScope(resource: string): string {
  return `${resource}:write`
}

/**
 * Whether the principal reaches what needs this scope; without one, only a principal without bounds does. This is no
 * permission yet.
 */
export function covers({ scopes }: Principal, scope: string | undefined): boolean {
  if (scopes === null || scope === ANY_SCOPE) return true
  return scope !== undefined && (scopes.includes(EVERY_SCOPE) || scopes.includes(scope))
}

/** A caller whose scopes end before what it asks for. It is anonymous in all but this: no credential is missing. */
const OUT_OF_SCOPE: Principal = Object.freeze({ ...ANONYMOUS })

/** Whom a request counts as where this scope is needed: the principal, or nobody in particular. */
export function withinScope(principal: Principal, scope: string | undefined): Principal {
  return covers(principal, scope) ? principal : OUT_OF_SCOPE
}

/** Whether `withinScope` has made nobody of somebody. */
export function isOutOfScope(principal: Principal): boolean {
  return principal === OUT_OF_SCOPE
}

/** Every scope that a credential can be given here, `users` being a resource like the others. */
export function knownScopes(resources: readonly string[]): readonly [string, ...string[]] {
  const names = resources.includes(USERS) ? resources : [...resources, USERS]
  return [EVERY_SCOPE, METRICS_SCOPE, ...names.flatMap((name) => [readScope(name), writeScope(name)])]
}

/** Whether only an administrator has anything that the scope is about. */
export function isForAdministrators(scope: string): boolean {
  return scope === METRICS_SCOPE || scope === readScope(USERS) || scope === writeScope(USERS)
}
