// The settings of backups: when they are made, where they go, how many stay. Whether the place exists is not known here.
import { SCHEDULE_EXPECTED, parseSchedule } from './schedule.ts'

const KEEP_MAX = 10_000
const PATH_LENGTH_MAX = 4096
const URL_LENGTH_MAX = 2048
const SECRET_LENGTH_MAX = 1024
const BUCKET = /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[^\p{C}]{0,900})?$/u

/** Rows of the table of settings. */
export const backupSettings = {
  backupEvery: {
    doc: 'When the server makes a backup: 30m, 6h, 1d, or five fields of cron in UTC; never unless set',
    expected: SCHEDULE_EXPECTED,
    placeholder: 'when',
    parse: parseSchedule,
  },
  backupKeep: {
    doc: 'How many backups stay when another one is made',
    expected: `a whole number from 1 to ${KEEP_MAX}`,
    placeholder: 'number',
    parse: keep,
    fallback: '7',
  },
  backupTo: {
    doc: 'Folder of backups, or s3://bucket/prefix; backups in the data folder unless set',
    expected: 'the name of a folder, or s3://bucket/prefix',
    placeholder: 'place',
    parse: place,
  },
  backupS3Endpoint: {
    doc: 'Address of an S3-compatible store; that of Amazon unless set',
    expected: 'an http or https address without user, query or fragment',
    placeholder: 'url',
    parse: endpoint,
  },
  backupS3Region: {
    doc: 'Region of the bucket',
    expected: 'the name of a region, such as eu-central-1 or auto',
    placeholder: 'name',
    parse: (text: string) => (/^[a-z0-9-]{1,64}$/.test(text) ? text : undefined),
    fallback: 'us-east-1',
  },
  backupS3AccessKeyId: {
    doc: 'Name of the access key of the bucket',
    expected: 'the name of an access key',
    placeholder: 'name',
    parse: secret,
    isSecret: true,
  },
  backupS3SecretAccessKey: {
    doc: 'Secret of the access key of the bucket',
    expected: 'the secret of an access key',
    placeholder: 'secret',
    parse: secret,
    isSecret: true,
  },
} as const

/** What does not fit together, each as a line for the user. */
export function backupProblems(config: {
  data?: string
  backupEvery?: unknown
  backupTo?: string | undefined
  backupS3AccessKeyId?: string | undefined
  backupS3SecretAccessKey?: string | undefined
}): string[] {
  const isBucket = config.backupTo?.startsWith('s3://') === true
  const hasKey = config.backupS3AccessKeyId !== undefined && config.backupS3SecretAccessKey !== undefined
  return [
    ...(config.data === ':memory:' && config.backupEvery !== undefined
      ? ['HIPFLASK_BACKUP_EVERY is of no use to a server in memory, take it away or set HIPFLASK_DATA']
      : []),
    ...(isBucket && !hasKey
      ? ['HIPFLASK_BACKUP_TO needs HIPFLASK_BACKUP_S3_ACCESS_KEY_ID and HIPFLASK_BACKUP_S3_SECRET_ACCESS_KEY']
      : []),
  ]
}

function keep(text: string): number | undefined {
  if (!/^[1-9][0-9]{0,4}$/.test(text)) return undefined
  return Number(text) <= KEEP_MAX ? Number(text) : undefined
}

// An address of another kind would become a folder, its password included.
function place(text: string): string | undefined {
  if (/^s3:/i.test(text)) return BUCKET.test(text) ? text : undefined
  return text !== '' && text.length <= PATH_LENGTH_MAX && !/\0|:\/\//.test(text) ? text : undefined
}

function endpoint(text: string): string | undefined {
  if (text.length > URL_LENGTH_MAX || !/^https?:\/\/[^?#@\\\s]+$/i.test(text)) return undefined
  return URL.canParse(text) ? text.replace(/\/+$/, '') : undefined
}

function secret(text: string): string | undefined {
  return text.length <= SECRET_LENGTH_MAX && /^[\x21-\x7e]+$/.test(text) ? text : undefined
}
