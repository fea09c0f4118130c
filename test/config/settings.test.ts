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

const addresses = (count: number) =>
  Array.from({ length: count }, (_, at) => `https://h${at}.example/`).join(',')
const origins = (count: number) =>
  Array.from({ length: count }, (_, at) => `https://h${at}.example`).join(',')
const networks = (count: number) => Array.from({ length: count }, (_, at) => `10.0.0.${at}/32`).join(',')

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
  refreshTokenSeconds: {
    valid: [
      ['1', 1],
      ['2592000', 2_592_000],
      ['31536000', 31_536_000],
    ],
    invalid: ['', '0', '-1', '31536001', '1.5', '30d'],
  },
  refreshGraceSeconds: {
    valid: [
      ['0', 0],
      ['10', 10],
      ['300', 300],
    ],
    invalid: ['', '-1', '301', '00', '1.5', 'off'],
  },
  sessionSeconds: {
    valid: [
      ['1', 1],
      ['7776000', 7_776_000],
      ['315360000', 315_360_000],
    ],
    invalid: ['', '0', '-1', '315360001', '1.5', '90d'],
  },
  jwtAlgorithm: {
    valid: ['EdDSA', 'ES256', 'RS256', 'HS256'].map((name) => [name, name]),
    invalid: [...OF_CHOICES, 'none', 'HS512', 'hs256', 'EDDSA', 'Ed25519'],
  },
  jwtSecret: {
    valid: [['kJ8vQ2xN5mW7pR4tY6uB3cZ9dF1gH0sL', 'kJ8vQ2xN5mW7pR4tY6uB3cZ9dF1gH0sL']],
    invalid: ['', 'kJ8vQ2xN5mW7pR4tY6uB3cZ9dF1gH0s', 'x'.repeat(32)],
  },
  jwtKeyFile: {
    valid: [
      ['/run/secrets/jwt.pem', '/run/secrets/jwt.pem'],
      ['k'.repeat(4096), 'k'.repeat(4096)],
    ],
    invalid: ['', 'a\0b', 'a\nb', '-----BEGIN PRIVATE KEY-----', 'https://a/jwt.pem', 'k'.repeat(4097)],
  },
  tlsCert: {
    valid: [['/etc/tls/fullchain.pem', '/etc/tls/fullchain.pem']],
    invalid: ['', '-----BEGIN CERTIFICATE-----', 'a\nb', 'a'.repeat(4097)],
  },
  tlsKey: {
    valid: [['key.pem', 'key.pem']],
    invalid: ['', '-----BEGIN PRIVATE KEY-----', 'a\nb', 'a'.repeat(4097)],
  },
  registration: {
    valid: [
      ['open', 'open'],
      ['closed', 'closed'],
    ],
    invalid: [...OF_CHOICES, 'off'],
  },
  rateLimit: {
    valid: [
      ['off', 'off'],
      ['100/10s', expect.objectContaining({ limit: 100, windowMs: 10_000 })],
      ['1/1s', expect.objectContaining({ limit: 1, windowMs: 1000 })],
      ['10000/24h', expect.objectContaining({ limit: 10_000, windowMs: 86_400_000 })],
    ],
    invalid: ['', '0/1s', '10001/1s', '1/0s', '1/25h', '100', '100/10', '100/s', '100 / 10s', 'OFF', '1/1d'],
  },
  corsOrigins: {
    valid: [
      ['off', 'off'],
      ['*', '*'],
      ['loopback', ['loopback']],
      ['https://app.example.com', ['https://app.example.com']],
      ['HTTPS://App.Example.com:443/', ['https://app.example.com']],
      ['http://app.example.com:8080 , Loopback', ['http://app.example.com:8080', 'loopback']],
      ['https://münchen.example', ['https://xn--mnchen-3ya.example']],
      ['http://[::1]:5173', ['http://[::1]:5173']],
      ['https://a.example,https://A.example', ['https://a.example']],
      ['capacitor://localhost', ['capacitor://localhost']],
      ['chrome-extension://abcdefgh/', ['chrome-extension://abcdefgh']],
      [origins(100), origins(100).split(',')],
    ],
    invalid: [
      '',
      'null',
      'on',
      'app.example.com',
      '//app.example.com',
      'https://*.example.com',
      'https://app.example.com/path',
      'https://app.example.com?',
      'https://app.example.com#',
      'https://user@app.example.com',
      'https://app.example.com:99999',
      'https://a b',
      'https:\\\\app.example.com',
      'file:///',
      'file://host',
      'capacitor://a/b',
      '*,https://a.example',
      'off,https://a.example',
      'https://a.example,,https://b.example',
      'https://a.example,',
      `https://${label(300)}.example`,
      origins(101),
    ],
  },
  loginRateLimit: {
    valid: [
      ['off', 'off'],
      ['10/15m', { limit: 10, windowMs: 900_000 }],
      ['100/10s', { limit: 100, windowMs: 10_000 }],
      ['5/1m', { limit: 5, windowMs: 60_000 }],
      ['1/1h', { limit: 1, windowMs: 3_600_000 }],
      ['1/1s', { limit: 1, windowMs: 1000 }],
      ['10000/24h', { limit: 10_000, windowMs: 86_400_000 }],
      ['1/1440m', { limit: 1, windowMs: 86_400_000 }],
      ['1/86400s', { limit: 1, windowMs: 86_400_000 }],
    ],
    invalid: [
      '',
      'on',
      'OFF',
      '0',
      '10',
      '10/',
      '/15m',
      '10/15',
      '10/m',
      '10/15ms',
      '10/15d',
      '10/15M',
      '0/15m',
      '10/0m',
      '010/15m',
      '10/015m',
      '-1/15m',
      '1.5/15m',
      '10/1.5m',
      '1e1/15m',
      '10/1e1m',
      '10001/15m',
      '1/25h',
      '1/1441m',
      '1/86401s',
      '1/99999h',
      '10 / 15m',
      ' 10/15m',
      '10/15m ',
      '10/15m\n',
      '10/15m/2',
      '10/15m,1/1s',
      '١٠/15m',
      `${'9'.repeat(400)}/1s`,
      `1/${'9'.repeat(400)}s`,
    ],
  },
  trustProxy: {
    valid: [
      ['127.0.0.1', ['127.0.0.1/32']],
      ['::1', ['::1/128']],
      ['10.0.0.0/8', ['10.0.0.0/8']],
      ['10.1.2.3/8', ['10.1.2.3/8']],
      ['128.0.0.0/1,192.0.2.1/32', ['128.0.0.0/1', '192.0.2.1/32']],
      [' 2001:DB8:0:0::/32 , 2001:db8::1/128', ['2001:db8::/32', '2001:db8::1/128']],
      ['loopback', ['127.0.0.0/8', '::1/128']],
      ['linklocal', ['169.254.0.0/16', 'fe80::/10']],
      ['UniqueLocal', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']],
      ['loopback, 192.0.2.1', ['127.0.0.0/8', '::1/128', '192.0.2.1/32']],
      [networks(100), networks(100).split(',')],
    ],
    invalid: [
      '',
      ' ',
      ',',
      '10.0.0.1,',
      ',10.0.0.1',
      'true',
      '1',
      'localhost',
      'proxy.example.com',
      '*',
      'constructor',
      '0.0.0.0/0',
      '::/0',
      '10.0.0.0/33',
      '::1/129',
      '10.0.0.0/-1',
      '10.0.0.0/',
      '/8',
      '10.0.0.0/08',
      '10.0.0.0/8/8',
      '10.0.0.0/255.0.0.0',
      '10.0.0',
      '10.0.0.256',
      '010.0.0.1',
      '0x0a000001',
      '167772161',
      '10.0.0.1:80',
      '[::1]',
      '[::1]:80',
      'fe80::1%eth0',
      '1::2::3',
      '::ffff:10.0.0.1',
      '::ffff:a00:0/104',
      '10.0.0.1 10.0.0.2',
      'loopback/8',
      '10.0.0.1\n,::1%',
      networks(101),
    ],
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
  oidcRedirects: {
    valid: [
      ['https://app.example.com/signed-in', ['https://app.example.com/signed-in']],
      [
        'https://a.example/x?y=1, http://127.0.0.1:5173/',
        ['https://a.example/x?y=1', 'http://127.0.0.1:5173/'],
      ],
      ['http://localhost:5173/x', ['http://localhost:5173/x']],
      ['http://[::1]:5173/', ['http://[::1]:5173/']],
      ['com.example.app:/signed-in', ['com.example.app:/signed-in']],
      [addresses(100), addresses(100).split(',')],
    ],
    invalid: [
      '',
      ',',
      'https://a.example/#x',
      'http://a.example/',
      'https://user@a.example/',
      'https:///a.example',
      'https:\\\\a.example',
      'https://a.example/\u00e9',
      'https://a.example/a b',
      '//a.example/',
      '/signed-in',
      '*',
      'javascript:alert(1)',
      'data:text/html,x',
      'app:/signed-in',
      'file:///etc/hostname',
      addresses(101),
    ],
  },
  trustedIssuers: {
    valid: [
      [
        'https://a.example/|https://api.example.com',
        [{ issuer: 'https://a.example/', audience: 'https://api.example.com' }],
      ],
      [
        'https://a.example|one, http://127.0.0.1:9|two',
        [
          { issuer: 'https://a.example', audience: 'one' },
          { issuer: 'http://127.0.0.1:9', audience: 'two' },
        ],
      ],
    ],
    invalid: [
      '',
      'https://a.example',
      'https://a.example|',
      '|one',
      'https://a.example|one|two',
      'http://a.example|one',
      'https://a.example?x|one',
      'https://a.example#x|one',
      'https://user@a.example|one',
      'a.example|one',
      Array(101).fill('https://a.example|one').join(','),
    ],
  },
  backupEvery: {
    valid: ['1s', '43200m', '30m', '720h', '30d', '0 3 * * *', '@daily', '0 0 29 2 *'].map((text) => [
      text,
      expect.objectContaining({ next: expect.any(Function) }),
    ]),
    invalid: [
      '',
      '0s',
      '43201m',
      '721h',
      '31d',
      '01d',
      '1.5h',
      '-1h',
      '1w',
      '1 h',
      'off',
      '* * * *',
      '* * * * * *',
      '60 * * * *',
      '0 0 31 2 *',
      `0${',0'.repeat(100)} * * * *`,
    ],
  },
  backupKeep: {
    valid: [
      ['1', 1],
      ['10000', 10_000],
    ],
    invalid: ['', '0', '10001', '-1', '07', '1.5', 'all'],
  },
  backupTo: {
    valid: [
      ['backups', 'backups'],
      ['/srv/backups', '/srv/backups'],
      ['s3://bucket', 's3://bucket'],
      ['s3://my.bucket-1/a/b c/ü/', 's3://my.bucket-1/a/b c/ü/'],
      [`s3://bucket/${label(900)}`, `s3://bucket/${label(900)}`],
    ],
    invalid: [
      '',
      'a\0b',
      's3://',
      's3://b',
      's3://Bucket',
      's3://-bucket/x',
      's3://bucket/a\nb',
      'https://bucket/x',
      `s3://bucket/${label(901)}`,
    ],
  },
  backupS3Endpoint: {
    valid: [
      ['https://s3.example.com', 'https://s3.example.com'],
      ['http://127.0.0.1:9000/', 'http://127.0.0.1:9000'],
      ['https://x.example/storage/v1/s3', 'https://x.example/storage/v1/s3'],
    ],
    invalid: [
      '',
      's3.example.com',
      'ftp://a',
      'https://u:p@a',
      'https://a?b',
      'https://a#b',
      'https://a b',
      'https://',
    ],
  },
  backupS3Region: {
    valid: [
      ['eu-central-1', 'eu-central-1'],
      ['auto', 'auto'],
      [label(64), label(64)],
    ],
    invalid: ['', 'EU', 'a b', label(65)],
  },
  backupS3AccessKeyId: {
    valid: [
      ['AKIA0', 'AKIA0'],
      [label(1024), label(1024)],
    ],
    invalid: ['', 'a b', 'a\n', 'ü', label(1025)],
  },
  backupS3SecretAccessKey: {
    valid: [
      ['a/+=', 'a/+='],
      [label(1024), label(1024)],
    ],
    invalid: ['', 'a b', 'a\n', 'ü', label(1025)],
  },
  durability: {
    valid: [
      ['full', 'full'],
      ['normal', 'normal'],
    ],
    invalid: [...OF_CHOICES, 'off'],
  },
  drainSeconds: {
    valid: [
      ['0', 0],
      ['60', 60],
    ],
    invalid: ['', '61', '-1', '1s', '0.5'],
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
  ['rateLimit', 'HIPFLASK_RATE_LIMIT', '--rate-limit', 'off (100/10s in production)'],
  ['corsOrigins', 'HIPFLASK_CORS_ORIGINS', '--cors-origins', 'loopback (off in staging, production)'],
] as const)('%s is %s and %s, and its default is described', (name, variable, flag, fallback) => {
  expect(variableOf(name)).toBe(variable)
  expect(flagOf(name)).toBe(flag)
  expect(describeFallback(name)).toBe(fallback as string)
})
