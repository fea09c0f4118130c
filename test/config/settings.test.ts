import { describe, expect, test } from 'bun:test'
import {
  describeFallback,
  fallbackOf,
  flagOf,
  settingNames,
  settingOf,
  variableOf,
  type SettingName,
} from '../../src/config/settings.ts'

const OF_CHOICES = ['', ' ', 'ON', 'yes', 'on ', 'constructor']
const label = (length: number) => 'a'.repeat(length)
const hosts = (count: number) => Array.from({ length: count }, (_, at) => `h${at}.example`).join(',')

/** Every setting: text → value, and texts that are refused. */
const CASES: Record<SettingName, { valid: [string, unknown][]; invalid: string[] }> = {
  env: {
    valid: [
      ['development', 'development'],
      ['staging', 'staging'],
      ['production', 'production'],
    ],
    invalid: [...OF_CHOICES, 'Production', 'test'],
  },
  host: {
    valid: [
      ['127.0.0.1', '127.0.0.1'],
      ['0.0.0.0', '0.0.0.0'],
      ['::', '::'],
      ['::1', '::1'],
      ['localhost', 'localhost'],
      ['db_1.internal', 'db_1.internal'],
      [`${label(63)}.example`, `${label(63)}.example`],
      [
        [label(63), label(63), label(63), label(61)].join('.'),
        [label(63), label(63), label(63), label(61)].join('.'),
      ],
    ],
    invalid: [
      '',
      '[::1]',
      '127.0.0.1:80',
      '256.0.0.1',
      '1.2.3',
      '0x7f000001',
      'fe80::1%eth0',
      'a b',
      'a..b',
      '-a',
      'a-',
      'http://a',
      `${label(64)}.example`,
      [label(63), label(63), label(63), label(62)].join('.'),
    ],
  },
  port: {
    valid: [
      ['0', 0],
      ['3000', 3000],
      ['65535', 65535],
    ],
    invalid: ['', '-1', '65536', '080', '0x50', '3e3', '80.0', ' 80', '80 ', '+80', '٣', '9'.repeat(400)],
  },
  data: {
    valid: [
      [':memory:', ':memory:'],
      ['./data', './data'],
      ['/var/lib/a b', '/var/lib/a b'],
      ['d'.repeat(4096), 'd'.repeat(4096)],
    ],
    invalid: ['', 'a\0b', 'd'.repeat(4097)],
  },
  resources: {
    valid: [
      ['resources', 'resources'],
      ['r'.repeat(4096), 'r'.repeat(4096)],
    ],
    invalid: ['', 'a\0b', 'r'.repeat(4097)],
  },
  publicUrl: {
    valid: [
      ['https://api.example.com', 'https://api.example.com'],
      ['https://api.example.com/', 'https://api.example.com'],
      ['HTTPS://API.example.com:443', 'https://api.example.com'],
      ['http://localhost:3000', 'http://localhost:3000'],
      ['http://[::1]:3000', 'http://[::1]:3000'],
      [`http://localhost:${'0'.repeat(2027)}3000`, 'http://localhost:3000'],
    ],
    invalid: [
      '',
      'api.example.com',
      'ftp://api.example.com',
      '//api.example.com',
      'https://',
      'https://user@api.example.com',
      'https://user:pass@api.example.com',
      'https://api.example.com/v1',
      'https://api.example.com?',
      'https://api.example.com#',
      'https://api.example.com:99999',
      'https://a b',
      'https:\\\\api.example.com',
      `http://localhost:${'0'.repeat(2028)}3000`,
    ],
  },
  allowedHosts: {
    valid: [
      ['api.example.com', ['api.example.com']],
      ['API.example.com, localhost ,127.0.0.1', ['api.example.com', 'localhost', '127.0.0.1']],
      ['::1,[0:0::1]', ['[::1]', '[::1]']],
      [hosts(100), hosts(100).split(',')],
    ],
    invalid: ['', ',', 'a,', 'a,,b', 'a:80', '*.example.com', '[a]', '[127.0.0.1]', 'a b', hosts(101)],
  },
  logLevel: {
    valid: ['debug', 'info', 'warn', 'error'].map((level) => [level, level]),
    invalid: [...OF_CHOICES, 'trace', 'INFO'],
  },
  logFormat: {
    valid: [
      ['pretty', 'pretty'],
      ['json', 'json'],
    ],
    invalid: [...OF_CHOICES, 'text'],
  },
  bodyLimit: {
    valid: [
      ['1024', 1024],
      ['1024B', 1024],
      ['1KiB', 1024],
      ['1MiB', 1_048_576],
      ['64MiB', 67_108_864],
      ['65536KiB', 67_108_864],
      ['67108864', 67_108_864],
    ],
    invalid: [
      '',
      '0',
      '1023',
      '1023B',
      '65MiB',
      '65537KiB',
      '67108865',
      '1.5MiB',
      '1MB',
      '1mib',
      '1 MiB',
      '-1KiB',
      '01MiB',
      '9'.repeat(400),
    ],
  },
  swagger: {
    valid: ['on', 'off', 'admin'].map((mode) => [mode, mode]),
    invalid: [...OF_CHOICES, 'true'],
  },
  accessTokenSeconds: {
    valid: [
      ['1', 1],
      ['900', 900],
      ['86400', 86_400],
    ],
    invalid: ['', '0', '-1', '86401', '1.5', '15m'],
  },
  registration: {
    valid: [
      ['open', 'open'],
      ['closed', 'closed'],
    ],
    invalid: [...OF_CHOICES, 'off'],
  },
  adminEmail: {
    valid: [
      ['ada@example.com', 'ada@example.com'],
      [`${'a'.repeat(242)}@example.com`, `${'a'.repeat(242)}@example.com`],
    ],
    invalid: [
      '',
      'ada',
      'ada@',
      '@example.com',
      'ada@example',
      'a da@example.com',
      'ada@@example.com',
      'ada@.com',
      'ada@example..com',
      `${'a'.repeat(243)}@example.com`,
    ],
  },
  adminPassword: {
    valid: [
      ['12345678', '12345678'],
      ['🔑'.repeat(8), '🔑'.repeat(8)],
      [' spaces ', ' spaces '],
      ['p'.repeat(256), 'p'.repeat(256)],
    ],
    invalid: ['', '1234567', '🔑'.repeat(7), 'e\u0301'.repeat(7), 'p'.repeat(257)],
  },
  durability: {
    valid: [
      ['full', 'full'],
      ['normal', 'normal'],
    ],
    invalid: [...OF_CHOICES, 'off'],
  },
}

describe.each(settingNames.map((name) => [name, CASES[name]] as const))('%s', (name, { valid, invalid }) => {
  test.each(valid)('takes %p', (text, value) => {
    expect(settingOf(name).parse(text)).toEqual(value)
  })

  test.each(invalid)('refuses %p', (text) => {
    expect(settingOf(name).parse(text)).toBeUndefined()
  })
})

test('every default is a valid value', () => {
  for (const name of settingNames) {
    for (const environment of ['development', 'staging', 'production'] as const) {
      const text = fallbackOf(name, environment)
      if (text !== undefined) expect([name, settingOf(name).parse(text)]).not.toEqual([name, undefined])
    }
  }
})

test.each([
  ['env', 'HIPFLASK_ENV', '--env', 'development'],
  ['accessTokenSeconds', 'HIPFLASK_ACCESS_TOKEN_SECONDS', '--access-token-seconds', '900'],
  ['host', 'HIPFLASK_HOST', '--host', '127.0.0.1 (0.0.0.0 in staging, production)'],
  ['swagger', 'HIPFLASK_SWAGGER', '--swagger', 'on (off in production)'],
  ['publicUrl', 'HIPFLASK_PUBLIC_URL', '--public-url', undefined],
] as const)('%s is %s and %s, and its default is described', (name, variable, flag, fallback) => {
  expect(variableOf(name)).toBe(variable)
  expect(flagOf(name)).toBe(flag)
  expect(describeFallback(name)).toBe(fallback as string)
})
