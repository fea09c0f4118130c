import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig, type LoadOptions } from '../../src/config/load.ts'
import { StartError } from '../../src/core/errors.ts'

const AUTH0 = {
  HIPFLASK_PUBLIC_URL: 'https://api.example.com',
  HIPFLASK_OIDC_AUTH0_ISSUER: 'https://tenant.eu.auth0.com/',
  HIPFLASK_OIDC_AUTH0_CLIENT_ID: 'an id',
}
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hipflask-config-'))
  await writeFile(join(folder, 'secret.txt'), 'from a file\n')
})
afterAll(() => rm(folder, { recursive: true }))

function load(options: Partial<LoadOptions>) {
  return loadConfig({ env: {}, cwd: folder, ...options })
}

function problems(options: Partial<LoadOptions>): string[] {
  try {
    load(options)
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => line.trim())
  }
  return []
}

describe('a provider', () => {
  test('is there once one of its variables is set', () => {
    expect(load({ env: { HIPFLASK_OIDC_AUTH0_ISSUER: '' } }).config.oidc).toEqual([])
    expect(load({ env: AUTH0 }).config.oidc).toEqual([
      {
        name: 'auth0',
        issuer: 'https://tenant.eu.auth0.com/',
        clientId: 'an id',
        clientSecret: undefined,
        scopes: 'openid email profile',
        label: 'Auth0',
      },
    ])
  })

  test('comes from the environment before .env, its secret from a file too, and its name may have parts', () => {
    const dotenv = [
      'HIPFLASK_OIDC_MY_COMPANY_CLIENT_ID=x',
      'HIPFLASK_OIDC_MY_COMPANY_ISSUER=https://b.example',
      'HIPFLASK_OIDC_MY_COMPANY_LABEL=Us',
      'HIPFLASK_OIDC_MY_COMPANY_SCOPES=email  openid',
      'HIPFLASK_OIDC_MY_COMPANY_CLIENT_SECRET_FILE=secret.txt',
    ].join('\n')
    const { config, oidcOrigins } = load({
      env: { ...AUTH0, HIPFLASK_OIDC_MY_COMPANY_ISSUER: 'https://a.example' },
      dotenv,
    })
    expect(config.oidc.map(({ name }) => name)).toEqual(['auth0', 'my_company'])
    expect(config.oidc[1]).toEqual({
      name: 'my_company',
      issuer: 'https://a.example',
      clientId: 'x',
      clientSecret: 'from a file',
      scopes: 'email openid',
      label: 'Us',
    })
    const { HIPFLASK_OIDC_MY_COMPANY_ISSUER: issuer, HIPFLASK_OIDC_MY_COMPANY_CLIENT_SECRET: secret } =
      oidcOrigins
    expect(issuer).toEqual({ source: 'environment', name: 'HIPFLASK_OIDC_MY_COMPANY_ISSUER' })
    expect(secret).toEqual({ source: '.env', name: 'HIPFLASK_OIDC_MY_COMPANY_CLIENT_SECRET_FILE' })
  })

  test('on loopback may be http, but not in production', () => {
    const env = { ...AUTH0, HIPFLASK_OIDC_AUTH0_ISSUER: 'http://127.0.0.1:9000' }
    expect(problems({ env })).toEqual([])
    expect(problems({ env: { ...env, HIPFLASK_ENV: 'production' } })).toEqual([
      'HIPFLASK_OIDC_AUTH0_ISSUER must be https in production',
    ])
    const trusted = { HIPFLASK_ENV: 'production', HIPFLASK_TRUSTED_ISSUERS: 'http://localhost:1|a' }
    expect(problems({ env: trusted })).toEqual(['HIPFLASK_TRUSTED_ISSUERS must be https in production'])
  })

  test('all that is wrong is told at once, and no value', () => {
    const env = {
      HIPFLASK_OIDC_A_CLIENT_SECRET: 'canary\n',
      HIPFLASK_OIDC_A_SCOPES: 'email canary',
      HIPFLASK_OIDC_A_LABEL: 'canary\u0007',
      HIPFLASK_OIDC_B_ISSUER: 'http://canary.example',
      HIPFLASK_OIDC_B_CLIENT_ID: 'x',
      HIPFLASK_OIDC_B_CLIENT_SECRET: 'x',
      HIPFLASK_OIDC_B_CLIENT_SECRET_FILE: 'nothing.txt',
    }
    const told = problems({ env })
    expect(told.toSorted()).toEqual(
      [
        'HIPFLASK_OIDC_B_CLIENT_SECRET and HIPFLASK_OIDC_B_CLIENT_SECRET_FILE are both set, only one of them may be',
        'HIPFLASK_OIDC_A_ISSUER must be the https address of the provider (http for loopback), as it names itself',
        'HIPFLASK_OIDC_A_CLIENT_ID must be the id that the provider has given to this application',
        'HIPFLASK_OIDC_A_CLIENT_SECRET must be a text of one line',
        'HIPFLASK_OIDC_A_SCOPES must be scopes separated by spaces, openid among them',
        'HIPFLASK_OIDC_A_LABEL must be a text of one line',
        'HIPFLASK_OIDC_B_ISSUER must be the https address of the provider (http for loopback), as it names itself',
        'HIPFLASK_OIDC_A_ISSUER needs HIPFLASK_PUBLIC_URL, where the provider sends browsers back to',
      ].toSorted(),
    )
    expect(told.join()).not.toContain('canary')
  })

  test.each([
    ['HIPFLASK_OIDC_AUTH0_ISUER', 'did you mean HIPFLASK_OIDC_AUTH0_ISSUER?'],
    ['HIPFLASK_OIDC_AUTH0_CLIENTID', 'did you mean HIPFLASK_OIDC_AUTH0_CLIENT_ID?'],
    ['HIPFLASK_OIDC_AUTH0_CLIENT_SECRT', 'did you mean HIPFLASK_OIDC_AUTH0_CLIENT_SECRET?'],
    ['HIPFLASK_OIDC_MY_COMPANY_LABLE', 'did you mean HIPFLASK_OIDC_MY_COMPANY_LABEL?'],
    ['HIPFLASK_OIDC_REDIRECT', 'did you mean HIPFLASK_OIDC_REDIRECTS?'],
    ['HIPFLASK_OIDC_AUTH0_CLIENT_ID_FILE', 'only secrets may come from a file'],
    ['HIPFLASK_OIDC_auth0_ISSUER', 'did you mean HIPFLASK_OIDC_AUTH0_ISSUER?'],
  ])('a misspelt %s gets a suggestion', (name, remedy) => {
    expect(problems({ env: { [name]: 'x' } })).toEqual([`${name} is not a setting, ${remedy}`])
  })

  test.each([
    'https://a.example?x',
    'https://a.example#x',
    'https://user@a.example',
    'http://a.example',
    'http://127.0.0.1.example',
    'ftp://a.example',
    'https://a.example/.well-known/openid-configuration',
    'a.example',
    'https://a b.example',
    `https://a.example/${'x'.repeat(500)}`,
  ])('has no issuer %s', (issuer) => {
    expect(problems({ env: { ...AUTH0, HIPFLASK_OIDC_AUTH0_ISSUER: issuer } })).toHaveLength(1)
  })
})

test('a server does not trust itself as an outside issuer', () => {
  const env = { HIPFLASK_PUBLIC_URL: 'https://api.example.com' }
  const trusted = (issuer: string) => ({ ...env, HIPFLASK_TRUSTED_ISSUERS: `${issuer}|hipflask` })
  expect(problems({ env: trusted('https://api.example.com/') })).toEqual([
    'HIPFLASK_TRUSTED_ISSUERS must not name HIPFLASK_PUBLIC_URL, this server itself',
  ])
  expect(problems({ env: trusted('https://id.example.com/') })).toEqual([])
})
