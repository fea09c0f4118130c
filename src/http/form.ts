// Bodies of application/x-www-form-urlencoded, for routes that a standard gives such a body. There is one reading of
// each: what is repeated or ill-formed is refused.
import { AppError } from '../core/errors.ts'
import { MAX_PARAMETERS } from './query-parameters.ts'
import type { BodyContract } from './route.ts'
import { canonicalSchema } from './json-schema.ts'
import type { TSchema } from '../sdk.ts'

/** Parameters by name. Those without a value are left out, as RFC 6749, 3.2, says. */
export type Form = ReadonlyMap<string, string>

export const FORM_TYPE = 'application/x-www-form-urlencoded'

/** A form; its parameters are checked by the handler, since each standard has errors of its own for them. */
export function formBody(schema: TSchema, example: Readonly<Record<string, string>>): BodyContract<Form> {
  // What is not known is let be: RFC 6749, 3.2.
  const { additionalProperties: _, ...open } = canonicalSchema(schema)
  return { encoding: 'form', schema: open, example, parse: (form) => form as Form }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Throws AppError `bad_request` for what is no form, has a parameter twice, NUL in one, or too many. */
export function decodeForm(bytes: Uint8Array): Form {
  const pairs = decodeText(bytes).split('&', MAX_PARAMETERS + 1)
  if (pairs.length > MAX_PARAMETERS) throw invalidForm(`has more than ${MAX_PARAMETERS} parameters`)
  const form = new Map<string, string>()
  const names = new Set<string>()
  for (const pair of pairs) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    const name = decodePart(at === -1 ? pair : pair.slice(0, at))
    const value = at === -1 ? '' : decodePart(pair.slice(at + 1))
    if (names.has(name)) throw invalidForm('has a parameter more than once')
    if (name.includes('\0') || value.includes('\0')) throw invalidForm('has a NUL character')
    names.add(name)
    if (value !== '') form.set(name, value)
  }
  return form
}

function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw invalidForm('is not UTF-8')
  }
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part.replaceAll('+', ' '))
  } catch {
    throw invalidForm('has an invalid percent escape')
  }
}

function invalidForm(fault: string): AppError {
  return new AppError('bad_request', { message: `Request body ${fault}` })
}
