// Accounts as a resource: /api/users has what every resource has, from one definition. What is special about accounts is
// in account-guard.ts; a secret is no field, so that no answer, filter or export knows of it.
import type { ErrorDetail } from '../core/errors.ts'
import { columnOf, fieldsOf, type Field } from '../rest/fields.ts'
import type { Declarations } from '../rest/loader.ts'
import {
  canonicalDefault,
  DEFAULT_PAGE_SIZE,
  DEFAULT_PAGE_SIZE_MAX,
  type BodyChecks,
  type ResourceDefinition,
} from '../rest/resource.ts'
import { t, type TObject } from '../sdk.ts'
import { NewPassword, passwordFaults } from './bodies.ts'
import { normalizePassword } from './passwords.ts'
import { ADMIN_ROLE, EMAIL_LENGTH_MAX, NAME_LENGTH_MAX, USER_ROLE, usersTable } from './users.ts'

/** Accounts that one request may make: their passwords are hashed one after the other, at 50 ms of a core each. */
export const USERS_CREATE_MAX = 100
const ROLE_LENGTH_MAX = 60

const Account = t.Object({
  name: t.String({ minLength: 1, maxLength: NAME_LENGTH_MAX, examples: ['Ada'] }),
  email: t.String({ format: 'email', maxLength: EMAIL_LENGTH_MAX, index: true }),
  password: NewPassword,
})
const AccountState = t.Object({
  role: t.String({
    default: USER_ROLE,
    maxLength: ROLE_LENGTH_MAX,
    index: true,
    description: '`user`, `admin`, or a role that a resource names',
    examples: [USER_ROLE],
  }),
  disabled: t.Boolean({
    default: false,
    description: 'It can not sign in, and its sessions and keys are refused',
  }),
  last_login_at: t.Optional(t.String({ format: 'date-time', readOnly: true })),
})

/** The fields that only administrators set. */
const STATE_FIELDS = new Set(['role', 'disabled'])

/** All resources of the declarations, accounts among them. */
export function withUsers({ resources, profile, roles }: Declarations): ResourceDefinition[] {
  return [...resources, usersResource(profile, roles)]
}

/** The resource `users`: administrators' alone. */
function usersResource(profile: readonly Field[], roles: readonly string[]): ResourceDefinition {
  const required = profile.map((field) => (isRequired(field) ? demanded(field) : field))
  const fields = [...accountFields(), ...required, ...fieldsOf(AccountState as TObject)]
  const search = profile.filter((field) => field.search).map((field) => field.name)
  const columns = required.map((field) => columnOf(field, canonicalDefault(field)))
  return {
    name: usersTable.name,
    description: 'Accounts, for administrators',
    id: 'uuid',
    owned: false,
    fields,
    search,
    access: {},
    pageSize: DEFAULT_PAGE_SIZE,
    pageSizeMax: DEFAULT_PAGE_SIZE_MAX,
    softDelete: false,
    requireIfMatch: false,
    hooks: {},
    validate: undefined,
    computed: [],
    routes: [],
    table: {
      ...usersTable,
      columns: [...usersTable.columns, ...columns],
      ...(search.length === 0 ? {} : { search }),
    },
    createMax: USERS_CREATE_MAX,
    checks: createChecks(roles),
  }
}

/** The same for one's own account: what only administrators set has no effect. */
export function ownAccountResource(users: ResourceDefinition): ResourceDefinition {
  const fields = users.fields.map((field) =>
    STATE_FIELDS.has(field.name) ? { ...field, readOnly: true } : field,
  )
  return { ...users, fields }
}

/** Of the resources that a server has. */
export function usersOf(resources: readonly ResourceDefinition[]): ResourceDefinition {
  const users = resources.find(({ name }) => name === usersTable.name)
  if (users === undefined) throw new TypeError('The resource users is missing')
  return users
}

function accountFields(): Field[] {
  return fieldsOf(Account as TObject).map((field) => {
    switch (field.name) {
      case 'email':
        return demanded(field)
      case 'password':
        return { ...demanded(field), writeOnly: true, virtual: true }
      default:
        return field
    }
  })
}

function isRequired({ optional, default: fallback, hidden, readOnly }: Field): boolean {
  return !optional && fallback === undefined && !hidden && !readOnly
}

/** Whoever registers must say it. An account of the settings, of a command or of another sign-in may lack it. */
function demanded(field: Field): Field {
  return { ...field, optional: true, demanded: true }
}

function createChecks(declared: readonly string[]): BodyChecks {
  const roles = [...new Set([USER_ROLE, ADMIN_ROLE, ...declared])]
  return {
    normalize(body) {
      const { email, password } = body
      return {
        ...body,
        ...(typeof email === 'string' && email.length <= EMAIL_LENGTH_MAX
          ? { email: email.normalize('NFC') }
          : {}),
        ...(typeof password === 'string' ? { password: normalizePassword(password) } : {}),
      }
    },
    faultsOf({ role, name, email, password }, previous) {
      const faults: ErrorDetail[] = []
      // A role that no rule names any more is kept until another one is given.
      if (typeof role === 'string' && role !== previous?.role && !roles.includes(role)) {
        faults.push({ field: '/role', message: `Expected one of: ${roles.join(', ')}` })
      }
      if (typeof password === 'string') {
        faults.push(...passwordFaults(password, { name: textOf(name), email: textOf(email) }, '/password'))
      }
      return faults
    },
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
