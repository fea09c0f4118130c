// Checks the access rules of a declaration.
import { allOf, anyOf, everyone, owner, role, signedIn, type Rule } from '../sdk.ts'
import { NAME, NAME_RULE } from './declared-names.ts'

const BUILDERS: Readonly<Record<string, unknown>> = { everyone, signedIn, role, owner, anyOf, allOf }
/** Rules within rules. */
const MAX_RULE_DEPTH = 8

/** The problems of an access rule. */
export function checkRule(rule: unknown, owned: boolean, depth: number): string[] {
  if (typeof rule === 'function') {
    const builder = Object.entries(BUILDERS).find(([, one]) => one === rule)?.[0]
    return builder === undefined ? [] : [`${builder} must be called: ${builder}()`]
  }
  if (depth > MAX_RULE_DEPTH) return [`rules are nested more than ${MAX_RULE_DEPTH} deep`]
  const built = rule as Exclude<Rule, (...args: never) => unknown> | null | undefined
  switch (built?.rule) {
    case 'everyone':
    case 'signedIn':
      return []
    case 'owner':
      return owned ? [] : ["owner() needs the option 'owned: true'"]
    case 'role':
      return typeof built.role === 'string' && NAME.test(built.role)
        ? []
        : [`the name of a role ${NAME_RULE}`]
    case 'anyOf':
    case 'allOf':
      if (built.rules.length === 0) return [`${built.rule}() needs at least one rule`]
      return built.rules.flatMap((one) => checkRule(one, owned, depth + 1))
    default:
      return ['a rule is everyone(), signedIn(), role(), owner(), anyOf(), allOf() or a function']
  }
}

/** The names of the roles that checked rules ask for. A function's are its own business. */
export function rolesIn(rules: readonly Rule[]): string[] {
  return rules.flatMap((rule) => {
    if (typeof rule === 'function') return []
    if (rule.rule === 'role') return [rule.role]
    return 'rules' in rule ? rolesIn(rule.rules) : []
  })
}
