// What commands do to accounts, without a request.
import { describe, expect, test } from 'bun:test'
import { findByEmail } from '../../src/auth/users.ts'
import { createAccounts, PASSWORD } from './accounts.ts'

const accounts = createAccounts({ declarations: { roles: ['editor'] } })
const { operations, store } = accounts
const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    ({ code, details }: { code: unknown; details: readonly { field: string }[] }) => [
      code,
      ...details.map(({ field }) => field),
    ],
  )

describe('accounts without a request', () => {
  test('are made with every check, with a password or without', async () => {
    const made = await operations.create({
      name: 'Ada',
      email: 'Ada@example.com',
      password: PASSWORD,
      role: 'editor',
    })
    expect(made).toMatchObject({ name: 'Ada', email: 'Ada@example.com', role: 'editor', disabled: false })
    expect(made).not.toHaveProperty('password_hash')
    expect(await accounts.login('ada@example.com')).toBeDefined()
    expect((await findByEmail(store, 'ada@example.com'))?.password_hash).toStartWith('$argon2id$')

    await operations.create({ name: 'Eve', email: 'eve@example.com' })
    expect((await findByEmail(store, 'eve@example.com'))?.password_hash).toBeNull()
    expect((await accounts.post('/auth/login', { email: 'eve@example.com', password: 'x' })).status).toBe(401)

    const bad = { name: '', email: 'x', password: 'short', role: 'boss' }
    expect(await failureOf(operations.create(bad))).toEqual([
      'validation_failed',
      '/name',
      '/email',
      '/password',
      '/role',
    ])
    expect(await failureOf(operations.create({ name: 'x', email: 'ADA@example.com' }))).toEqual([
      'conflict',
      '/email',
    ])
  })

  test('are listed page by page, without a secret', async () => {
    const first = await operations.list({ limit: 1 })
    const rest = await operations.list({ after: first[0]?.id as string, limit: 10 })
    expect([...first, ...rest].map(({ email }) => email)).toEqual(['Ada@example.com', 'eve@example.com'])
    expect(JSON.stringify([first, rest])).not.toMatch(/argon2|password|email_key|generation/)
  })

  test('get a role, and are disabled with their sessions', async () => {
    const token = `Bearer ${await accounts.login('ada@example.com')}`
    expect(await operations.setRole('ADA@example.com', 'user')).toMatchObject({ role: 'user' })
    expect((await accounts.me(token)).status).toBe(200)
    expect(await operations.setDisabled('ada@example.com', true)).toMatchObject({ disabled: true })
    await operations.setDisabled('ada@example.com', false)
    expect((await accounts.me(token)).status).toBe(401)
    expect(await failureOf(operations.setRole('ada@example.com', 'boss'))).toEqual([
      'validation_failed',
      '/role',
    ])
    expect(await failureOf(operations.setRole('nobody@example.com', 'user'))).toEqual(['not_found'])
  })

  test('keep their last administrator', async () => {
    await operations.setRole('eve@example.com', 'admin')
    expect(await failureOf(operations.setRole('eve@example.com', 'user'))).toEqual(['conflict'])
    expect(await failureOf(operations.setDisabled('eve@example.com', true))).toEqual(['conflict'])
    await operations.setRole('ada@example.com', 'admin')
    expect(await failureOf(operations.setDisabled('eve@example.com', true))).toBe('done')
  })
})
