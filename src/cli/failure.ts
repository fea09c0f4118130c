// What went wrong below, as the command line tells it.
import { AppError, StartError } from '../core/errors.ts'

const WRONG_USAGE = 2

/**
 * The failure of a command for an error of the records or accounts: exit code 2 for values that are not valid, named as
 * `names` calls the fields (name of a property → what the user gave), else 1. Other errors stay as they are.
 */
export function failureOf(error: unknown, names: Readonly<Record<string, string>>): unknown {
  // Of what kept the database from being written, whoever opened it knows the remedy.
  if (!(error instanceof AppError) || error.code === 'unavailable') return error
  const { code, message, details } = error
  const faults = details.map(({ field, message: fault }) => {
    const [, name = ''] = field.split('/')
    return `${names[name] ?? field}: ${fault}`
  })
  const isUsage = code === 'validation_failed'
  return new StartError(faults.length > 0 ? faults.join('\n') : message, isUsage ? WRONG_USAGE : 1)
}
