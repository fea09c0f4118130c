// Which names a declaration may give to what it declares.

/** Of resources, fields and roles. */
export const NAME = /^[a-z][a-z0-9_]{0,59}$/
export const NAME_RULE = 'must start with a letter and have at most 60 of a–z, 0–9 and _'
/** What the server or the query of a list has for itself; the last one every object has. */
export const RESERVED = new Set(
  'id created_at updated_at deleted_at owner_id owner page limit cursor sort fields q expand count or and constructor'.split(
    ' ',
  ),
)

/** What every account has, in the API or in its table. */
export const ACCOUNT_NAMES = new Set(
  'name email password role disabled last_login_at email_key password_hash session_generation current_password'.split(
    ' ',
  ),
)

/** The problems of the name of a field, stored or computed. */
export function checkFieldName(name: string): string[] {
  if (!NAME.test(name)) return [`a name ${NAME_RULE}`]
  return RESERVED.has(name) ? ['the name is reserved; choose another'] : []
}
