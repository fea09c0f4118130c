// "What may you do": rules and a principal give allow, deny, or which records. Pure; who the principal is was decided
// before, and records are looked up after.
import { AppError } from '../core/errors.ts'
import type { Action, Filter, Principal, Rule } from '../sdk.ts'
import { isOutOfScope, withinScope } from './scopes.ts'

/** A filter lets through the records that match it. */
export type Decision = 'allow' | 'deny' | Filter

/** Who has it passes every rule. */
export const ADMIN_ROLE = 'admin'

/** Nobody but administrators. */
export const ADMINISTRATORS: Rule = Object.freeze({ rule: 'role', role: ADMIN_ROLE })

/** How `owner()` is taken: as a filter on the record, or as known to hold or not (for the printed matrix). */
export type Ownership = 'filter' | 'theirs' | 'not theirs'

export interface Question {
  rule: Rule | undefined
  principal: Principal
  /** `call` for a route that is not an action of a resource. */
  action: Action | 'call'
  /** What a key or an outside token needs, else it is asked as an anonymous caller. Without one it always is. */
  scope?: string | undefined
  ownership?: Ownership
}

/** What the rule says to this principal. Without a rule only administrators pass. */
export function decide({ rule, principal, action, scope, ownership = 'filter' }: Question): Decision {
  return decideFor(withinScope(principal, scope), { rule, action, ownership })
}

/** Whether it is an administrator, who passes every rule, within the scope. */
export function isAdministrator({ principal, scope }: Pick<Question, 'principal' | 'scope'>): boolean {
  return withinScope(principal, scope).role === ADMIN_ROLE
}

interface RuleQuestion {
  rule: Rule | undefined
  action: Action | 'call'
  ownership: Ownership
}

function decideFor(principal: Principal, { rule, action, ownership }: RuleQuestion): Decision {
  if (principal.role === ADMIN_ROLE) return 'allow'
  if (rule === undefined) return 'deny'
  if (typeof rule === 'function') return decisionOf(rule(principal))
  switch (rule.rule) {
    case 'everyone':
      return 'allow'
    case 'signedIn':
      return principal.kind === 'anonymous' ? 'deny' : 'allow'
    case 'role':
      return principal.role !== null && principal.role === rule.role ? 'allow' : 'deny'
    case 'owner':
      if (principal.id === null) return 'deny'
      if (action === 'create' || ownership === 'theirs') return 'allow'
      return ownership === 'filter' ? { owner_id: principal.id } : 'deny'
    case 'anyOf':
      return any(rule.rules.map((one) => decideFor(principal, { rule: one, action, ownership })))
    case 'allOf':
      return all(rule.rules.map((one) => decideFor(principal, { rule: one, action, ownership })))
  }
}

/**
 * The filter that the rule leaves (undefined: every record). Throws `unauthenticated` for an anonymous caller and
 * `forbidden` for others where the rule refuses whatever the record.
 */
export function authorize(question: Question): Filter | undefined {
  const decision = decide(question)
  if (decision === 'deny') throw refusal(question)
  return decision === 'allow' ? undefined : decision
}

/** The error of a caller who is refused whatever the record. */
export function refusal({ principal, scope }: Pick<Question, 'principal' | 'scope'>): AppError {
  if (isOutOfScope(withinScope(principal, scope))) return outOfScope(scope)
  return new AppError(principal.kind === 'anonymous' ? 'unauthenticated' : 'forbidden')
}

// RFC 6750, section 3.1. Where no scope would help, none is named.
function outOfScope(scope: string | undefined): AppError {
  if (scope === undefined) return new AppError('forbidden')
  const challenge = `Bearer error="insufficient_scope", scope="${scope}"`
  return new AppError('forbidden', { headers: { 'WWW-Authenticate': challenge } })
}

function decisionOf(answer: unknown): Decision {
  if (answer === true) return 'allow'
  if (answer === false) return 'deny'
  if (isPlainObject(answer)) return answer as Filter
  // Its failure would otherwise end the process, for nobody waits for it.
  if (answer instanceof Promise) answer.catch(() => undefined)
  throw new TypeError('An access rule must return true, false or a filter object, and not a promise')
}

// A Map or a Date has no keys of its own: taken for a filter, it would let every record through.
function isPlainObject(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function any(decisions: readonly Decision[]): Decision {
  if (decisions.includes('allow')) return 'allow'
  const filters = decisions.filter((decision) => decision !== 'deny') as Filter[]
  if (filters.length === 0) return 'deny'
  return filters.length === 1 ? (filters[0] as Filter) : { or: filters }
}

function all(decisions: readonly Decision[]): Decision {
  if (decisions.includes('deny')) return 'deny'
  const filters = decisions.filter((decision) => decision !== 'allow') as Filter[]
  if (filters.length === 0) return 'allow'
  return filters.length === 1 ? (filters[0] as Filter) : { and: filters }
}
