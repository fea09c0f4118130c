// Whether a secret could be guessed: one that signs tokens, or an administrator's password. It can't know a good one; it
// refuses what everybody tries first.

/** UTF-8. As many as the digest of HS256 has (RFC 7518, 3.2). */
export const SECRET_BYTES_MIN = 32
const DISTINCT_CHARACTERS_MIN = 6

/**
 * What the examples of libraries, frameworks and tutorials have in common, and the published ones that have nothing in
 * common; letters and digits of one case alone.
 */
const KNOWN = [
  'changeme',
  'changethis',
  'changeit',
  'replaceme',
  'replacethis',
  'tobemodified',
  'placeholder',
  'donotuse',
  'insecure',
  'yoursecret',
  'mysecret',
  'oursecret',
  'supersecret',
  'secretkey',
  'jwtsecret',
  'appsecret',
  'tokensecret',
  'secrettoken',
  'stringsecret',
  'authsecret',
  'bitsecret',
  'secretthat',
  'secretfor',
  'notsecret',
  'verysecret',
  'topsecret',
  'secretsecret',
  'keyboardcat',
  'password',
  'passphrase',
  'reallyreally',
  'example',
  'hipflask',
  'correcthorsebattery',
  'qwertyuiop',
  'asdfghjkl',
  '1qaz2wsx',
  'loremipsum',
  'thisisa',
  // RFC 7515, A.1
  'aym1sysppbydfgzld3umj1qzkobwvmkoqq',
  // FastAPI, Flask, Spring, Hasura, Directus
  '09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7',
  '192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf',
  '404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970',
  '3ek6fdo0c7tzbnvfjpmkndi2yaraakzqlk8o2ikoxqu4nf7edah8s3twphwrdwt6r',
  '6116487bcda152c2b5b5c8022c45e263',
  '255d861b5ea159969aa3922530ec40b1',
  // Of tutorials that were copied a thousand times
  'ultrasecure',
  'characterultra',
  '5367566b59703373367639792f423f4528482b4d6251655468576d5a71347437',
  '357638792f423f4428472b4b6250655368566d597133743677397a2443264629',
  '635266556a586e3272357538782f413f4428472b4b6250645367566b597033733',
]

/** Whether it is long enough, and none that many others have or that a program could list. */
export function isStrongSecret(text: string): boolean {
  // Bytes that are no UTF-8 arrive as U+FFFD, all alike.
  if (Buffer.byteLength(text) < SECRET_BYTES_MIN || text.includes('\uFFFD')) return false
  const plain = text.toLowerCase().replace(/[^a-z0-9]/g, '')
  return !KNOWN.some((known) => plain.includes(known)) && !isRegular(text)
}

/** What passwords are made of that should be changed after the first start and are not, the longest first. */
const PASSWORD_WORDS = [
  'administrator',
  'qwertyuiop',
  'superuser',
  'trustno1',
  'changeme',
  'changeit',
  'database',
  'hipflask',
  'iloveyou',
  'passwort',
  'password',
  'asdfgh',
  'autumn',
  'change',
  'default',
  'example',
  'letmein',
  'master',
  'passwd',
  'please',
  'qwerty',
  'qwertz',
  'secret',
  'server',
  'spring',
  'summer',
  'system',
  'winter',
  'zxcvbn',
  'welcome',
  'admin',
  'guest',
  'hello',
  'login',
  'demo',
  'pass',
  'root',
  'temp',
  'test',
  'this',
  'user',
  'abc',
  'new',
  'the',
  'me',
  'my',
]
/** How some letters are written by who thinks that it helps. */
const SPELLINGS: Readonly<Record<string, string>> = {
  a: '[a4@]',
  e: '[e3]',
  i: '[i1!|]',
  l: '[l1|]',
  o: '[o0]',
  s: '[s5$]',
  t: '[t7+]',
}
const WORD_SPELLED = new RegExp(
  PASSWORD_WORDS.map((word) => word.replace(/[aeilost]/g, (letter) => SPELLINGS[letter]!)).join('|'),
  'g',
)
const LETTERS_MIN = 4
/** Of what has fewer letters, such as digits alone. */
const CHARACTERS_MIN = 16

/**
 * Whether a password of at most 256 characters is a repetition or a run, or has hardly anything beside well-known words
 * and their spellings: `Adm1n-2026!`.
 */
export function isGuessablePassword(text: string): boolean {
  if (isRegular(text)) return true
  const own = text.normalize('NFKC').toLowerCase().replace(WORD_SPELLED, '')
  if (own.replace(/\P{L}/gu, '').length >= LETTERS_MIN) return false
  return own.length < CHARACTERS_MIN || isRegular(own)
}

/** Few characters, a repetition, or a run such as `abcdef…`. */
function isRegular(text: string): boolean {
  const codes = Array.from(text, (character) => character.codePointAt(0) as number)
  if (new Set(codes).size < DISTINCT_CHARACTERS_MIN) return true
  const half = Math.floor(codes.length / 2)
  for (let period = 1; period <= half; period++) {
    if (codes.every((code, at) => at < period || code === codes[at - period])) return true
  }
  const steps = codes.slice(1).filter((code, at) => Math.abs(code - (codes[at] as number)) === 1)
  return steps.length >= half
}
